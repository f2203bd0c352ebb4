-- '{ns}:e:' and '{ns}:l:' are one byte shorter than '{ns}:inc'.
local function user_key(redis_key)
  return string.sub(redis_key, #KEYS[1])
end
