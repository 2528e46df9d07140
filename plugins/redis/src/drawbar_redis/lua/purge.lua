-- Deletes runs that ended long enough ago, up to 100 of them.
--
-- Head: [seconds]. Reply: [how many runs, whether there may be more].
local names = call('ZRANGEBYSCORE', ENDED, '-inf', NOW - decode(ARGV[1])[1], 'LIMIT', 0, 100)
local count_of_runs = 0
for _, name in ipairs(names) do
  local id, workflow = unpacked(name)
  local there = use(id)
  -- Of a run that has expired, the id may be another's by now, which is none of ours.
  local same = there and call('HGET', RUN, 'workflow') == workflow
  if same and OVER[run.status] then
    count_of_runs = count_of_runs + 1
    for _, address in ipairs(call('HKEYS', OPEN)) do -- a callback that has not come to its turn
      call('ZREM', DUE, PACKED .. address)
      call('HDEL', LEASES, PACKED .. address)
    end
    for _, key in ipairs(keys_of_run()) do call('UNLINK', key) end
    there, same = false, false
  end
  call('ZREM', ENDED, name)
  if not there then call('ZREM', RUNS, id) end
  if not same then call('ZREM', BASE .. 'runs-of:' .. workflow, id) end
end
return { count_of_runs, #names == 100 and 1 or 0 }
