-- Gives back all tasks that an owner runs.
-- Twin of drawbar.stores.control.release.
--
-- Head: [owner, died]. Reply: the number of tasks.
local owner, died = unpack(decode(ARGV[1]))
local all, released = call('HGETALL', LEASES_KEY), 0
for i = 1, #all, 2 do
  local lease = all[i + 1]
  if sub(lease, find(lease, ':', 1, true) + 1) == owner then
    local id, address = unpack_pair(all[i])
    local task = begin(id) and find_task(address)
    if task and task.record[STATUS] == 'running' then
      if died then task.record[LOST] = task.record[LOST] + 1 end
      set_status(task, 'scheduled', NOW)
      close()
      released = released + 1
    else
      call('HDEL', LEASES_KEY, all[i])
      call('ZREM', DUE_KEY, all[i])
    end
  end
end
return released
