-- The globs that were invalidated, oldest first, in one field: for each V 8 bytes, `g` or `G` (soft), size 1, text.
local function bans_of()
  local bytes, bans, at = redis.call('HMGET', KEYS[1], 'bans')[1] or '', {}, 1
  while at + 9 < #bytes do
    local size = string.byte(bytes, at + 9)
    bans[#bans + 1] = {struct.unpack('<I8', bytes, at), string.sub(bytes, at + 8, at + 8), string.sub(bytes, at + 10, at + 9 + size)}
    at = at + 10 + size
  end
  return bans
end
