-- Gives back all that an owner runs.
--
-- Head: [owner, died]. Reply: how many.
local h = decode(ARGV[1])
local owner, died = h[1], h[2]
local all, given = call('HGETALL', LEASES), 0
for i = 1, #all, 2 do
  local lease = all[i + 1]
  if sub(lease, find(lease, ':', 1, true) + 1) == owner then
    local id, address = unpacked(all[i])
    local t = use(id) and get(address)
    if t and t.m[STATUS] == 'running' then
      if died then t.m[LOST] = t.m[LOST] + 1 end
      status(t, 'scheduled', NOW)
      flush()
      given = given + 1
    else
      call('HDEL', LEASES, all[i])
      call('ZREM', DUE, all[i])
    end
  end
end
return given
