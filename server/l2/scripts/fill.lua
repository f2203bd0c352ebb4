--! use check time keys bans globs alive stamp journal lease
-- A value whose source was read in the past enters only if nothing it depends on has changed since (C6, I5).
local RECORDS_SCANNED, NAMES_SCANNED, RECORDS_AT_ONCE = 256, 1024, 32
local entry, now = KEYS[5], time_ms()
local maxlen, proof, tail = ARGV[4], ARGV[5], ARGV[8]
local key = user_key(entry)
local lease = redis.call('GET', KEYS[6])

local function refuse(reason)
  return {'REFUSED', now_v, reason}
end

-- The lease ends here, whatever comes of it.
local function give_back()
  redis.call('DEL', KEYS[6])
  if is_waited_for(lease) then note(maxlen, key) end
end

-- What the records above v say of the key; `gap` when they are not all there, or too many.
local function changed_since(v)
  if v > now_v or now_v - v > RECORDS_SCANNED then return 'gap' end
  local expected, from, names, notes = v + 1, string.format('%.0f-0', v + 1), 0, 0
  while expected <= now_v do
    local records = redis.call('XRANGE', KEYS[3], from, '+', 'COUNT', RECORDS_AT_ONCE)
    if #records == 0 then return 'gap' end
    for i = 1, #records do
      local id, pairs_of = records[i][1], records[i][2]
      local record_v, n = string.match(id, '^(%d+)%-(%d+)$')
      from = string.format('%s-%.0f', record_v, n + 1)
      if n ~= '0' then
        notes = notes + 1
      else
        if tonumber(record_v) ~= expected then return 'gap' end
        expected = expected + 1
        for p = 1, #pairs_of, 2 do
          local kind = pairs_of[p]
          if (kind == 's' or kind == 'k' or kind == 'K') and pairs_of[p + 1] == key then return 'key' end
        end
        names = names + #pairs_of / 2
      end
      if names > NAMES_SCANNED or notes > NAMES_SCANNED then return 'gap' end
    end
  end
  return nil
end

local since, beside
if #proof == 24 then
  if not lease or is_rest(proof) or string.sub(lease, 1, 24) ~= proof then return refuse('lease') end
  if string.sub(proof, 9, 16) ~= ARGV[1] then
    give_back()
    return refuse('epoch')
  end
  since = struct.unpack('<I8', proof, 17)
else
  beside = string.sub(proof, -1) == 'e'
  since = tonumber(string.match(proof, '^%d+'))
  local reason = changed_since(since)
  if reason then return refuse(reason) end
end

local reason
if since < floor_v or since < tonumber(inc[6] or 0) then reason = 'floor' end
if not reason and (since < hard_v or since < soft_v) then
  local names = {}
  add_tags(names, tail, string.byte(tail, $L2_RECORD_AT_SHAPE - 31) % 32, $L2_RECORD_HEAD_BYTES - 31)
  add_prefixes(names, key)
  if killed_since(names, since, false) or killed_since(names, since, true) then reason = 'name' end
end
local state = look(entry, now)
if state == FOREIGN then reason = reason or 'foreign' end
-- Somebody had the lease of the fleet meanwhile, or one that was given like this one.
if beside and state == FRESH then reason = reason or 'lease' end
if reason then
  if #proof == 24 then give_back() end
  return refuse(reason)
end

-- Nothing was there: no host can hold anything that this value would have to replace, so no record (F4).
if state == NONE then
  store(entry, now_v, now, ARGV[6], ARGV[7], tail)
  give_back()
  return {'OK', now_v, now, 0}
end
local v = now_v + 1
record(v, maxlen, {'s', key})
store(entry, v, now, ARGV[6], ARGV[7], tail)
redis.call('DEL', KEYS[6])
return {'OK', v, now, 1}
