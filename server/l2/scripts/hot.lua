--! use check
-- Weights that fade without being touched: the logarithm of a weight, plus how many half-lives the clock of Redis has counted,
-- grows old by standing still (forward decay: Cormode, Shkapenyuk, Srivastava and Xu, 2009).
local most, half_ms = tonumber(ARGV[4]), tonumber(ARGV[5])
local t = redis.call('TIME')
local age = (t[1] * 1000 + t[2] / 1000) / half_ms
for i = 6, #ARGV, 2 do
  local score = age + math.log(tonumber(ARGV[i + 1])) / math.log(2)
  local was = redis.call('ZSCORE', KEYS[5], ARGV[i])
  if not was or tonumber(was) < score then
    redis.call('ZADD', KEYS[5], score, ARGV[i])
  end
end
local count = redis.call('ZCARD', KEYS[5])
if count > most then
  redis.call('ZREMRANGEBYRANK', KEYS[5], 0, count - most - 1)
end
redis.call('PEXPIRE', KEYS[5], 32 * half_ms)
return {math.min(count, most)}
