--! use check time keys bans globs alive lease
local entry, lease, now = KEYS[5], KEYS[6], time_ms()
local nonce, lease_ms, ahead_ms = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6] or 0)

-- The token, nil when somebody else has it, or an error.
local function take()
  local token = nonce .. ARGV[1] .. struct.pack('<I8', now_v)
  local took = redis.pcall('SET', lease, token .. '-', 'NX', 'PX', lease_ms)
  if not took then return nil end
  return took.err and took or token
end

local state, head, _, age, soft_ms = look(entry, now)
if state == FRESH or state == STALE then
  local due = state == STALE and 1 or soft_ms - age < ahead_ms and 2 or 0
  local token = due > 0 and lease_ms > 0 and take()
  if type(token) ~= 'string' then token = '' end
  local whole = #head < 1024 and head or redis.call('GET', entry)
  return {'HIT', now_v, now, due, whole, token}
end
if lease_ms == 0 then return {'MISS', now_v, now} end
local token = take()
if type(token) == 'table' then return token end
if token then return {'LEASE', now_v, now, token} end
local left = redis.call('PTTL', lease)
if is_rest(redis.call('GETRANGE', lease, 0, 23)) then return {'RESTS', now_v, now, left} end
-- The holder's fill or failure will leave a note for us.
if redis.call('GETRANGE', lease, 24, 24) == '-' then redis.call('SETRANGE', lease, 24, 'w') end
return {'BUSY', now_v, now, left}
