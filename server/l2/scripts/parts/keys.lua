-- '{ns}:e:' and '{ns}:l:' are one byte shorter than '{ns}:inc'.
local function user_key(redis_key)
  return string.sub(redis_key, #KEYS[1])
end
-- Some bytes of what is stored; nil when that is no string.  Nothing else is swallowed: asked once more, it is raised.
local function bytes_of(redis_key, first, last)
  local bytes = redis.pcall('GETRANGE', redis_key, first, last)
  if type(bytes) == 'string' then return bytes end
  if not string.find(bytes.err, 'WRONGTYPE', 1, true) then redis.call('GETRANGE', redis_key, first, last) end
end
