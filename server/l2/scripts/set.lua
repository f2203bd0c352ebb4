--! use check time keys bans globs alive stamp journal
local entry, lease, now = KEYS[5], KEYS[6], time_ms()
local maxlen, condition, tail = ARGV[4], ARGV[5], ARGV[8]
local soft, hard = tonumber(ARGV[6]), tonumber(ARGV[7])

if condition ~= '' then
  local state, head, _, age, soft_ms, hard_ms = look(entry, now)
  local present = state == FRESH or state == STALE
  if condition == 'absent' then
    if present then return {'EXISTS', now_v, string.sub(head, 1, $L2_RECORD_HEAD_BYTES)} end
  elseif not present then
    return {'NOT_FOUND', now_v}
  elseif condition ~= 'present' then
    local version = version_of(head)
    local as_fresh, as_stale = condition == version .. 'f', condition == version .. 's'
    if condition ~= version and not as_stale and not (as_fresh and state == FRESH) then
      return {'CONFLICT', now_v, string.sub(head, 1, $L2_RECORD_HEAD_BYTES)}
    end
    -- The same value again: how long the request was on its way is not its to live.
    if as_fresh or as_stale then
      soft, hard = math.max(math.min(soft, soft_ms - age), 0), math.min(hard, hard_ms - age)
    end
  end
end

local v = now_v + 1
record(v, maxlen, {tail == '' and 'k' or 's', user_key(entry)})
if tail == '' then
  redis.call('UNLINK', entry)
else
  store(entry, v, now, soft, hard, tail)
end
redis.call('DEL', lease)
return {'OK', v, now}
