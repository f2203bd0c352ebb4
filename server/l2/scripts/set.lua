--! use check time keys bans globs alive stamp journal
local entry, lease, now = KEYS[5], KEYS[6], time_ms()
local maxlen, condition, tail = ARGV[4], ARGV[5], ARGV[8]

if condition ~= '' then
  local state, head = look(entry, now)
  local present = state == FRESH or state == STALE
  if condition == 'absent' then
    if present then return {'EXISTS', now_v, string.sub(head, 1, $L2_RECORD_HEAD_BYTES)} end
  elseif not present then
    return {'NOT_FOUND', now_v}
  elseif condition ~= 'present' and condition ~= version_of(head)
      and (state ~= FRESH or condition ~= version_of(head) .. 'f') then
    return {'CONFLICT', now_v, string.sub(head, 1, $L2_RECORD_HEAD_BYTES)}
  end
end

local v = now_v + 1
record(v, maxlen, {tail == '' and 'k' or 's', user_key(entry)})
if tail == '' then
  redis.call('UNLINK', entry)
else
  store(entry, v, now, ARGV[6], ARGV[7], tail)
end
redis.call('DEL', lease)
return {'OK', v, now}
