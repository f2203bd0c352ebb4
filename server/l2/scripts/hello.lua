--! use time
-- A new session, and a new epoch when this is not the Redis, or not the data, that the epoch was made for (F5).
-- It is the only script that need not know the epoch: ARGV[1] is a fresh one, for the case that one is needed.
-- ARGV[5] and ARGV[6] are the epoch and the newest position the host knows: a Redis that shows less in that epoch has lost
-- what it told, and what the host has from there is newer than anything that is to come.
-- ARGV[4] is the number of partitions: whoever has another one would look for keys where nobody puts them.
local HOSTS_FORGOTTEN, HOST_DEAD_MS = 100, 86400000
local now = time_ms()

local server, replication = redis.call('INFO', 'server'), redis.call('INFO', 'replication')
local role = string.match(replication, 'role:(%a+)')
if role ~= 'master' then
  return redis.error_reply('NOTMASTER the role of this server is ' .. tostring(role))
end
local run = string.match(server, 'run_id:(%x+)') .. ':' .. string.match(replication, 'master_replid:(%x+)')

local inc = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'floor', 'hard', 'soft', 'parts')
if inc[6] and inc[6] ~= ARGV[4] then
  return redis.error_reply('PARTITIONS the hosts of this namespace have ' .. inc[6] .. ', this one has ' .. ARGV[4])
end
local v = tonumber(redis.call('GET', KEYS[2]) or nil)
local oldest, newest = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1), redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)

-- The V of a stream entry, and whether it is a mutation.
local function position(entry)
  local entry_v, n = string.match(entry[1], '^(%d+)%-(%d+)$')
  return tonumber(entry_v), n == '0'
end

local renewed = 0
local lost = v and inc[2] == ARGV[5] and v < tonumber(ARGV[6])
if lost or inc[1] ~= run or not inc[2] or not inc[6] or not v or (newest[1] and position(newest[1]) > v) then
  renewed, v = 1, v or 0
  redis.call('HSET', KEYS[1], 'run', run, 'epoch', ARGV[1], 'floor', 0, 'hard', 0, 'soft', 0, 'pruned', 0,
    'parts', ARGV[4], 'bans', '', 'banned', 0)
  redis.call('SET', KEYS[2], string.format('%.0f', v))
  redis.call('UNLINK', KEYS[3], KEYS[4], KEYS[6])
  inc, oldest = {run, ARGV[1], 0, 0, 0}, {}
end

redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[5], now, ARGV[2])
local dead = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - HOST_DEAD_MS, 'LIMIT', 0, HOSTS_FORGOTTEN)
if #dead > 0 then
  redis.call('HDEL', KEYS[1], unpack(dead))
  redis.call('ZREM', KEYS[5], unpack(dead))
end

-- Notes of a V stand behind its record: where one is the oldest, the record is gone.
local first = v + 1
if oldest[1] then
  local oldest_v, is_mutation = position(oldest[1])
  first = is_mutation and oldest_v or oldest_v + 1
end

local memory = redis.pcall('INFO', 'memory')
if type(memory) ~= 'string' then memory = '' end
local function figure(name)
  return tonumber(string.match(memory, name .. ':(%d+)')) or 0
end
return {inc[2], v, first, now, math.max(tonumber(inc[4] or 0), tonumber(inc[5] or 0)), tonumber(inc[3] or 0), renewed,
  string.match(server, 'redis_version:([%w%.%-]+)') or '', string.match(memory, 'maxmemory_policy:([%w%-]+)') or '',
  figure('used_memory'), figure('\nmaxmemory')}
