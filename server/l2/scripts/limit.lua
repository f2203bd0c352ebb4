--! use check
-- The sums of cache/limit.c, in microseconds of Redis' clock.
local max, window, cost = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local grain = 0.000001
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local kept = redis.call('GET', KEYS[5])
local level = 0
if kept and #kept == 16 then
  local at, was = struct.unpack('<dd', kept)
  level = math.min(max, math.max(0, was - math.max(0, now - at) * max / window))
end
local over = level + cost - max
local allowed = over <= grain
if allowed and cost > 0 then
  level = level + cost
  redis.call('SET', KEYS[5], struct.pack('<dd', now, level), 'PX', math.ceil(level * window / max / 1000) + 1)
end
local retry = allowed and 0 or over * window / max
return {allowed and 1 or 0, math.floor(max - level + grain), math.ceil(level * window / max), math.ceil(retry)}
