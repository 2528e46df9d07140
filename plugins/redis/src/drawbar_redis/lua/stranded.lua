-- Finds runs with a task that is due for long.
-- Twin of drawbar.stores.base.Store.stranded.
--
-- Head: [seconds, limit]. Reply: [time, id, run], … with the run that waits longest first, of each shard.
local seconds, limit = unpack(decode(ARGV[1]))
local late = {} -- name and `wake_at`
for _, plan in ipairs(call('SMEMBERS', PLANS_KEY)) do
  local found = call('ZRANGEBYSCORE', due_key(plan), '-inf', NOW - seconds, 'WITHSCORES', 'LIMIT', 0, limit)
  for i = 1, #found, 2 do late[#late + 1] = { found[i], tonumber(found[i + 1]) } end
end
table.sort(late, function(a, b) return a[2] < b[2] end)
local reply, known = {}, {}
for _, one in ipairs(late) do
  local id = unpack_pair(one[1])
  if #reply < limit and not known[id] and begin(id) then
    known[id] = true
    reply[#reply + 1] = { format('%.6f', one[2]), reply_run() }
  end
end
return reply
