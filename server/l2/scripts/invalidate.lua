--! use check keys journal
-- Any number of keys and names, one position, one record.
local maxlen, softly, names_max = ARGV[4], ARGV[5] == 'soft', tonumber(ARGV[6])
local POPPED_BESIDES = 200
local names_count = redis.call('ZCARD', KEYS[4]) -- a foreign type fails here, where nothing has been done yet

local function kind(letter)
  return softly and string.upper(letter) or letter
end

local entries, leases, fields, kills, v = {}, {}, {}, {}, now_v + 1
for i = 5, #KEYS, 2 do
  entries[#entries + 1], leases[#leases + 1] = KEYS[i], KEYS[i + 1]
  fields[#fields + 1], fields[#fields + 2] = kind('k'), user_key(KEYS[i])
end
for i = 7, #ARGV do
  local letter, name = kind(string.sub(ARGV[i], 1, 1)), string.sub(ARGV[i], 2)
  fields[#fields + 1], fields[#fields + 2] = letter, name
  kills[#kills + 1], kills[#kills + 2] = v, letter .. name
end
record(v, maxlen, fields)

if #kills > 0 then
  redis.call('ZADD', KEYS[4], unpack(kills))
  redis.call('HSET', KEYS[1], softly and 'soft' or 'hard', string.format('%.0f', v))
end
-- Too many names: the oldest are forgotten, and with them every entry they might have killed (F17).
if names_count + #kills / 2 > names_max then
  local popped = redis.call('ZPOPMIN', KEYS[4], #kills / 2 + POPPED_BESIDES)
  redis.call('HSET', KEYS[1], 'floor', popped[#popped])
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
