-- The one judge of life (F15).  Bytes of an entry: l2/record.h.
local NONE, FRESH, STALE, FOREIGN = 0, 1, 2, 3
local MAGIC = $L2_RECORD_MAGIC
local floor_v, hard_v, soft_v = tonumber(inc[3] or 0), tonumber(inc[4] or 0), tonumber(inc[5] or 0)

-- Appends the names of a tag list that starts at `at`.  False when the bytes end too early.
local function add_tags(names, bytes, count, at)
  for _ = 1, count do
    if at + 1 > #bytes then return false end
    local size = struct.unpack('<I2', bytes, at)
    if at + 1 + size > #bytes then return false end
    names[#names + 1] = 't' .. string.sub(bytes, at + 2, at + 1 + size)
    at = at + 2 + size
  end
  return true
end

-- 'a', and each prefix of the key that ends at one of its first ':'; and the key, for globs.
local function add_prefixes(names, key)
  names.key = key
  names[#names + 1] = 'a'
  local at = 0
  for _ = 1, $SHM_PREFIX_LEVELS do
    at = string.find(key, ':', at + 1, true)
    if not at then return end
    names[#names + 1] = 'p' .. string.sub(key, 1, at)
  end
end

local function killed_since(names, v, softly)
  for i = 1, #names do
    local name = names[i]
    if softly then name = string.upper(string.sub(name, 1, 1)) .. string.sub(name, 2) end
    local score = redis.call('ZSCORE', KEYS[4], name)
    if score and tonumber(score) > v then return true end
  end
  return banned_since(names.key, v, softly)
end

-- The names an entry answers to; nil when its tag list is broken.  A long list is not all in the first kilobyte.
local function names_of(redis_key, head)
  local names, tags = {}, string.byte(head, $L2_RECORD_AT_SHAPE + 1) % 32
  if tags > $SHM_TAGS_MAX then return nil end
  if not add_tags(names, head, tags, $L2_RECORD_HEAD_BYTES + 1) then
    names, head = {}, redis.call('GETRANGE', redis_key, 0, $L2_RECORD_NAMES_BYTES_MAX - 1)
    if not add_tags(names, head, tags, $L2_RECORD_HEAD_BYTES + 1) then return nil end
  end
  add_prefixes(names, user_key(redis_key))
  return names
end

-- State, first kilobyte, position, ms lived, soft and hard ms.  The value is not read.
local function look(redis_key, now)
  local head = bytes_of(redis_key, 0, 1023)
  if not head then return FOREIGN, '' end
  if head == '' then return NONE, '' end
  if #head < $L2_RECORD_HEAD_BYTES or string.sub(head, 1, #MAGIC) ~= MAGIC then return FOREIGN, '' end
  if string.sub(head, $L2_RECORD_AT_EPOCH + 1, $L2_RECORD_AT_EPOCH + 8) ~= ARGV[1] then return NONE, '' end
  local v, born, soft_ms, hard_ms = struct.unpack('<I7I6I4I4', head, $L2_RECORD_AT_V + 1)
  local age = now - born
  if age < 0 or age >= hard_ms or v < floor_v then return NONE, '' end
  local state = age < soft_ms and FRESH or STALE
  if v < hard_v or v < soft_v then
    local names = names_of(redis_key, head)
    if not names then return FOREIGN, '' end
    if v < hard_v and killed_since(names, v, false) then return NONE, '' end
    if v < soft_v and killed_since(names, v, true) then state = STALE end
  end
  return state, head, v, age, soft_ms, hard_ms
end

-- Epoch, position and id: what compare-and-set and "same" compare.
local function version_of(head)
  return string.sub(head, $L2_RECORD_AT_EPOCH + 1, $L2_RECORD_AT_EPOCH + 15) ..
    string.sub(head, $L2_RECORD_AT_ID + 1, $L2_RECORD_AT_ID + 3)
end
