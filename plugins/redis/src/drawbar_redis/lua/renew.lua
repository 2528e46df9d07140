-- Extends leases. The lease index says all there is to know, so that this costs two commands however many
-- there are.
--
-- Head: [owner, lease, attempt, …]; then the packed tasks. Reply: places (from 0) of those that are lost.
local h = decode(ARGV[1])
local lost, due = {}, {}
for first = 2, #ARGV, 4000 do
  local last = math.min(first + 3999, #ARGV)
  local leases = call('HMGET', LEASES, unpack(ARGV, first, last))
  for i = first, last do
    if leases[i - first + 1] == h[i + 1] .. ':' .. h[1] then
      due[#due + 1] = NOW + h[2]
      due[#due + 1] = ARGV[i]
    else
      lost[#lost + 1] = i - 2
    end
  end
end
if #due > 0 then many('ZADD', DUE, due) end
return lost
