-- The first write of a mutation: if the journal cannot take the record, nothing has happened (F16).
local function record(v, maxlen, pairs_of_kind_and_name)
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', maxlen, string.format('%.0f-0', v), unpack(pairs_of_kind_and_name))
  redis.call('SET', KEYS[2], string.format('%.0f', v))
end
