--! use check keys bans keep journal
-- Any number of keys and names, one position, one record.
local maxlen, softly, names_max = ARGV[4], ARGV[5] == 'soft', tonumber(ARGV[6])
local POPPED_BESIDES, BANS_MAX = 200, 64
local names_count = redis.call('ZCARD', KEYS[4]) -- a foreign type fails here, where nothing has been done yet

local function kind(letter)
  return softly and string.upper(letter) or letter
end

local entries, leases, fields, kills, globs, v = {}, {}, {}, {}, {}, now_v + 1
for i = 5, #KEYS, 2 do
  entries[#entries + 1], leases[#leases + 1] = KEYS[i], KEYS[i + 1]
  fields[#fields + 1], fields[#fields + 2] = kind('k'), user_key(KEYS[i])
end
for i = 7, #ARGV do
  local letter, name = kind(string.sub(ARGV[i], 1, 1)), string.sub(ARGV[i], 2)
  fields[#fields + 1], fields[#fields + 2] = letter, name
  if letter == 'g' or letter == 'G' then
    globs[#globs + 1] = name
  else
    kills[#kills + 1], kills[#kills + 2] = v, letter .. name
  end
end
record(v, maxlen, fields)

-- A floor never falls.
local floor = tonumber(inc[3] or 0)
local function raise_floor(at)
  floor = math.max(floor, at)
  redis.call('HSET', KEYS[1], 'floor', string.format('%.0f', floor))
end

-- One too many: the oldest go, and with them every entry they might have killed.
local function ban()
  local bans, named, pruned = {}, {}, tonumber(inc[6] or 0)
  for i = 1, #globs do named[globs[i]] = true end
  for _, old in ipairs(bans_of()) do
    if old[1] > pruned and not (named[old[3]] and old[2] == kind('g')) then bans[#bans + 1] = old end
  end
  for name in pairs(named) do bans[#bans + 1] = {v, kind('g'), name} end
  while #bans > BANS_MAX do raise_floor(table.remove(bans, 1)[1]) end
  keep_bans(bans)
  redis.call('HSET', KEYS[1], 'banned', string.format('%.0f', v))
end

if #globs > 0 then ban() end
if #kills > 0 then redis.call('ZADD', KEYS[4], unpack(kills)) end
if #kills > 0 or #globs > 0 then
  redis.call('HSET', KEYS[1], softly and 'soft' or 'hard', string.format('%.0f', v))
end
-- Too many names: the oldest are forgotten, and with them every entry they might have killed (F17).
if names_count + #kills / 2 > names_max then
  local popped = redis.call('ZPOPMIN', KEYS[4], #kills / 2 + POPPED_BESIDES)
  raise_floor(tonumber(popped[#popped]))
end

-- Softly: a soft end of 0.  The bytes of somebody else's value are left alone.
local function soften(redis_key)
  if bytes_of(redis_key, 0, #$L2_RECORD_MAGIC - 1) ~= $L2_RECORD_MAGIC then return 0 end
  redis.call('SETRANGE', redis_key, $L2_RECORD_AT_SOFT, '\0\0\0\0')
  return 1
end

local dropped = 0
if #entries > 0 then
  redis.call('DEL', unpack(leases))
  if softly then
    for i = 1, #entries do dropped = dropped + soften(entries[i]) end
  else
    dropped = redis.call('UNLINK', unpack(entries))
  end
end
return {v, dropped}
