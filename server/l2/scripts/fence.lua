--! use check time bans keep
-- "The journal stood at V after this was sent."  It writes, because an isolated primary still reads (R18).
-- Whichever host comes first in a minute marks the position and forgets what is older than every entry (F17).
local MARK_MS, TEND_AGAIN_MS, FORGOTTEN_AT_ONCE = 60000, 50, 200
local now = time_ms()
redis.call('ZADD', KEYS[5], now, ARGV[2])

local function forget_bans(upto)
  local bans, left = bans_of(), {}
  for i = 1, #bans do
    if bans[i][1] > upto then left[#left + 1] = bans[i] end
  end
  if #left == #bans then return end
  redis.call('HSET', KEYS[1], 'pruned', string.format('%.0f', upto))
  keep_bans(left)
end

-- Forgets kills at positions that every living entry is past.  True when there may be more.
local function forget(before_ms)
  local marks = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', before_ms, 'LIMIT', 0, FORGOTTEN_AT_ONCE)
  if #marks == 0 then return false end
  local upto = marks[#marks]
  if tonumber(inc[7] or 0) > tonumber(inc[6] or 0) then forget_bans(tonumber(upto)) end
  local names = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', upto, 'LIMIT', 0, FORGOTTEN_AT_ONCE)
  if #names > 0 then
    redis.call('HSET', KEYS[1], 'pruned', upto)
    redis.call('ZREM', KEYS[4], unpack(names))
  end
  if #names == FORGOTTEN_AT_ONCE then return true end
  -- The last one stays: it is what the next look finds until a newer one is old enough.
  marks[#marks] = nil
  if #marks > 0 then redis.call('ZREM', KEYS[6], unpack(marks)) end
  return #marks == FORGOTTEN_AT_ONCE - 1
end

local tended = redis.call('HMGET', KEYS[1], 'tended', 'marked')
if now >= tonumber(tended[1] or 0) then
  if now >= tonumber(tended[2] or 0) + MARK_MS then
    redis.call('ZADD', KEYS[6], 'NX', now, string.format('%.0f', now_v))
    redis.call('HSET', KEYS[1], 'marked', now)
  end
  local more = forget(now - ARGV[4])
  redis.call('HSET', KEYS[1], 'tended', now + (more and TEND_AGAIN_MS or MARK_MS))
end
return {now_v, now}
