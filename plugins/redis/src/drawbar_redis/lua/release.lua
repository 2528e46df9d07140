-- Gives back tasks that an owner runs.
-- Twin of drawbar.stores.control.release.
--
-- Head: [owner, died, attempt, …]; then the tasks' members, none for all tasks. Reply: the number of tasks.
local head = decode(ARGV[1])
local owner, died = head[1], head[2]
local released = 0

-- Gives back a task, if the lease is the owner's.
-- No twin: a part of the loop there.
local function give_back(name, lease, attempt)
  if not lease then return end
  local colon = find(lease, ':', 1, true)
  if sub(lease, colon + 1) ~= owner or (attempt and tonumber(sub(lease, 1, colon - 1)) ~= attempt) then return end
  local id, address = unpack_pair(name)
  local task = begin(id) and find_task(address)
  if task and task.record[STATUS] == 'running' then
    if died then task.record[LOST] = task.record[LOST] + 1 end
    set_status(task, 'scheduled', NOW)
    close()
    released = released + 1
  else -- what is left of it in the due index of its plan, `due` deletes
    call('HDEL', LEASES_KEY, name)
  end
end

if #ARGV > 1 then
  for i = 2, #ARGV do give_back(ARGV[i], call('HGET', LEASES_KEY, ARGV[i]), head[i + 1]) end
else
  local all = call('HGETALL', LEASES_KEY)
  for i = 1, #all, 2 do give_back(all[i], all[i + 1]) end
end
return released
