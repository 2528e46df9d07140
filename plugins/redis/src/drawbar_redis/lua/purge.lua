-- Deletes runs that ended long enough ago, up to 100 of them.
--
-- Head: [seconds]. Reply: [how many runs, whether there may be more].
local names = call('ZRANGEBYSCORE', ENDED, '-inf', NOW - decode(ARGV[1])[1], 'LIMIT', 0, 100)
local count_of_runs = 0
for _, name in ipairs(names) do
  local id, workflow = unpacked(name)
  if use(id) then
    count_of_runs = count_of_runs + 1
    for _, address in ipairs(call('HKEYS', OPEN)) do -- a callback that has not come to its turn
      call('ZREM', DUE, PACKED .. address)
      call('HDEL', LEASES, PACKED .. address)
    end
    for _, key in ipairs(keys_of_run()) do call('UNLINK', key) end
  end
  call('ZREM', ENDED, name)
  call('ZREM', RUNS, id)
  call('ZREM', BASE .. 'runs-of:' .. workflow, id)
end
return { count_of_runs, #names == 100 and 1 or 0 }
