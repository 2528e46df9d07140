-- Deletes up to 100 runs that ended long enough ago.
-- Twin of drawbar.stores.base.Store.purge.
--
-- Head: [seconds]. Reply: [number of runs, 1 if there may be more].
local names = call('ZRANGEBYSCORE', ENDED_KEY, '-inf', NOW - decode(ARGV[1])[1], 'LIMIT', 0, 100)
local deleted = 0
for _, name in ipairs(names) do
  local id, workflow = unpack_pair(name)
  local found = begin(id)
  -- When a run has expired, another run may have its id by now. That one must stay.
  local same = found and call('HGET', RUN_KEY, 'workflow') == workflow
  if same and IS_FINISHED[run.status] then
    deleted = deleted + 1
    for _, address in ipairs(call('HKEYS', OPEN_KEY)) do -- a callback that no worker has finished
      call('ZREM', DUE_KEY, MEMBER_PREFIX .. address)
      call('HDEL', LEASES_KEY, MEMBER_PREFIX .. address)
    end
    for _, key in ipairs(keys_of_run()) do call('UNLINK', key) end
    found, same = false, false
  end
  call('ZREM', ENDED_KEY, name)
  if not found then call('ZREM', RUNS_KEY, id) end
  if not same then call('ZREM', PREFIX .. 'runs-of:' .. workflow, id) end
end
return { deleted, #names == 100 and 1 or 0 }
