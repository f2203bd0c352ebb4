-- Who is asking.  Runs before anything else in every script but hello; nothing is done for a caller of another
-- epoch or a dead session (F5, F6, F7).
local inc = redis.call('HMGET', KEYS[1], 'epoch', ARGV[2], 'floor', 'hard', 'soft', 'pruned', 'banned')
if inc[1] ~= ARGV[1] then
  return redis.error_reply('EPOCH the namespace has another epoch')
end
if inc[2] ~= ARGV[3] then
  return redis.error_reply('SESSION this session has ended')
end
-- A namespace that lost its counter must not count from 1 again under the old epoch.
local now_v = tonumber(redis.call('GET', KEYS[2]) or nil)
if not now_v then
  return redis.error_reply('EPOCH the namespace has lost its counter')
end
