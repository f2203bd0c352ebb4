-- As base/pattern.h matches: level by level, one * or {name} a level; a * that ends the glob takes the rest.
local function level_matches(want, have)
  local from, brace = string.find(want, '*', 1, true), string.find(want, '{', 1, true)
  local to, least = from, 0
  if brace and (not from or brace < from) then from, to, least = brace, string.find(want, '}', brace, true), 1 end
  if not from then return want == have end
  local head, tail = string.sub(want, 1, from - 1), string.sub(want, to + 1)
  return #have >= #head + #tail + least and string.sub(have, 1, #head) == head and
    (tail == '' or string.sub(have, -#tail) == tail)
end

local function glob_matches(glob, key)
  local g, k = 1, 1
  for _ = 1, 16 do
    local g_end, k_end = string.find(glob, ':', g, true), string.find(key, ':', k, true)
    local want = string.sub(glob, g, (g_end or #glob + 1) - 1)
    if not level_matches(want, string.sub(key, k, (k_end or #key + 1) - 1)) then return false end
    if not g_end then return not k_end or string.sub(want, -1) == '*' and not string.find(want, '{', 1, true) end
    if not k_end then return false end
    g, k = g_end + 1, k_end + 1
  end
  return false
end

local banned_v, all_bans = tonumber(inc[7] or 0), nil
local function banned_since(key, v, softly)
  if v >= banned_v then return false end
  all_bans = all_bans or bans_of()
  for i = 1, #all_bans do
    local ban = all_bans[i]
    if ban[1] > v and ban[2] == (softly and 'G' or 'g') and glob_matches(ban[3], key) then return true end
  end
  return false
end
