--! use check time keys bans globs alive
local now, verdicts = time_ms(), {}
for i = 5, #KEYS do
  local state, head = look(KEYS[i], now)
  local same = (state == FRESH or state == STALE) and version_of(head) == ARGV[i - 1]
  verdicts[#verdicts + 1] = same and (state == STALE and '2' or '1') or '0'
end
return {now_v, now, table.concat(verdicts)}
