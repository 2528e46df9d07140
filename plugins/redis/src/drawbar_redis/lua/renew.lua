-- Extends leases. The hash of leases has all that is needed, so this takes two commands for any number of leases.
-- Twin of drawbar.stores.control.renew.
--
-- Head: [owner, lease, attempt, …]; then the tasks' members. Reply: places (from 0) of the leases that are lost.
local head = decode(ARGV[1])
local lost, due = {}, {}
for first = 2, #ARGV, 4000 do
  local last = math.min(first + 3999, #ARGV)
  local leases = call('HMGET', LEASES_KEY, unpack(ARGV, first, last))
  for i = first, last do
    if leases[i - first + 1] == head[i + 1] .. ':' .. head[1] then
      due[#due + 1] = NOW + head[2]
      due[#due + 1] = ARGV[i]
    else
      lost[#lost + 1] = i - 2
    end
  end
end
if #due > 0 then call_in_chunks('ZADD', DUE_KEY, due) end
return lost
