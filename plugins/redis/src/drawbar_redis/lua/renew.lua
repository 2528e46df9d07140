-- Extends leases. The hash of leases has all that is needed but the plan, which is read once for each run.
-- Twin of drawbar.stores.control.renew.
--
-- Head: [owner, lease, attempt, …]; then the tasks' members. Reply: places (from 0) of the leases that are lost.
local head = decode(ARGV[1])
local lost, due, plans = {}, {}, {}
for first = 2, #ARGV, 4000 do
  local last = math.min(first + 3999, #ARGV)
  local leases = call('HMGET', LEASES_KEY, unpack(ARGV, first, last))
  for i = first, last do
    local id = unpack_pair(ARGV[i])
    if plans[id] == nil then plans[id] = call('HGET', PREFIX .. 'run:' .. id, 'fingerprint') end
    if plans[id] and leases[i - first + 1] == head[i + 1] .. ':' .. head[1] then
      local key = due_key(plans[id])
      local of_plan = due[key] or {}
      of_plan[#of_plan + 1] = NOW + head[2]
      of_plan[#of_plan + 1] = ARGV[i]
      due[key] = of_plan
    else
      lost[#lost + 1] = i - 2
    end
  end
end
for key, of_plan in pairs(due) do call_in_chunks('ZADD', key, of_plan) end
return lost
