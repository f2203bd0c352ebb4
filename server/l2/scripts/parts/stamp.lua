-- What only the script knows of an entry: its position and when it was written.  The rest comes packed.
local function store(redis_key, v, now, soft_ms, hard_ms, tail)
  local stamp = $L2_RECORD_MAGIC .. ARGV[1] .. struct.pack('<I7I6I4I4', v, now, soft_ms, hard_ms)
  redis.call('SET', redis_key, stamp .. tail, 'PX', hard_ms)
end
