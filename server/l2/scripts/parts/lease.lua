-- Whoever waits for this key on another host learns from a note that the lease has ended (D4).  The id `V-n` is
-- found by hand, since `V-*` needs Redis 7.  A note that is lost costs a waiter its patience, nothing else.
local function note(maxlen, key)
  local last = redis.pcall('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)
  local id = last[1] and last[1][1] or '0-0'
  local v, n = string.match(id, '^(%d+)%-(%d+)$')
  n = tonumber(v) == now_v and n + 1 or 1
  redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', maxlen, string.format('%.0f-%.0f', now_v, n), 'w', key)
end

-- In the place of a lease: a load failed, and nobody may try until this is gone.  No holder has such a token.
local REST = string.rep('\0', 24)

local function is_rest(token)
  return token == REST
end

-- A lease is nonce 8, epoch 8, position 8, and 'w' when somebody waits.
local function is_waited_for(lease)
  return lease and string.sub(lease, 25, 25) == 'w'
end
