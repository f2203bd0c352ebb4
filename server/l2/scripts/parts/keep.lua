-- As parts/bans.lua reads them.
local function keep_bans(bans)
  local bytes = {}
  for i = 1, #bans do
    bytes[i] = struct.pack('<I8', bans[i][1]) .. bans[i][2] .. string.char(#bans[i][3]) .. bans[i][3]
  end
  redis.call('HSET', KEYS[1], 'bans', table.concat(bytes))
end
