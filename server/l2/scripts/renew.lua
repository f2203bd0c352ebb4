--! use check
local lease = redis.call('GETRANGE', KEYS[5], 0, 23)
if lease ~= ARGV[4] then return 0 end
return redis.call('PEXPIRE', KEYS[5], ARGV[5])
