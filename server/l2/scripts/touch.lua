--! use check time keys bans globs alive
-- Longer, never shorter; and only what a get would return.  Stale by invalidation it stays.
local entry, now = KEYS[5], time_ms()
local state, head, _, age, soft_ms, hard_ms = look(entry, now)
if state ~= FRESH and state ~= STALE then return {'NOT_FOUND', now_v} end

local hard = math.max(hard_ms - age, tonumber(ARGV[5]))
local soft = soft_ms == 0 and 0 or math.min(math.max(soft_ms - age, tonumber(ARGV[4])), hard)
local life = struct.pack('<I6I4I4', now, soft, hard)
redis.call('SETRANGE', entry, $L2_RECORD_AT_BORN, life)
redis.call('PEXPIRE', entry, hard)
return {'OK', now_v, now,
  string.sub(head, 1, $L2_RECORD_AT_BORN) .. life .. string.sub(head, $L2_RECORD_AT_BORN + 15, $L2_RECORD_HEAD_BYTES)}
