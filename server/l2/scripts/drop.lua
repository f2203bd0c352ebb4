--! use check keys lease
local lease = redis.call('GET', KEYS[5])
if not lease or string.sub(lease, 1, 24) ~= ARGV[5] then return 0 end
if tonumber(ARGV[6]) > 0 then
  redis.call('SET', KEYS[5], REST .. '-', 'PX', ARGV[6])
else
  redis.call('DEL', KEYS[5])
end
if is_waited_for(lease) then note(ARGV[4], user_key(KEYS[5])) end
return 1
