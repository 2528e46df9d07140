-- Makes tasks whose time has come claimable, and hands them out.
-- Twin of drawbar.stores.control.due, with drawbar.stores.rows.Rows.overdue, drawbar.stores.rows.Rows.undelivered and
-- drawbar.stores.rows.Rows.next_wake.
--
-- Head: [limit, redispatch, retention, undelivered, plans or false, alive, lease]. Reply: [seconds until the next task or
-- '', held: [owner, run id, address, attempt, …], run id, address, workflow, fingerprint, queue, …].
local limit, redispatch, retention, undelivered, plans, alive, lease = unpack(decode(ARGV[1]))
REDISPATCH = redispatch
local held = {}
local reply = { '', held }
plans = plans or call('SMEMBERS', PLANS_KEY)
local late = {} -- name, `wake_at` and due index of each candidate
for _, plan in ipairs(plans) do
  local key, found = due_key(plan), nil
  if undelivered then
    found = call('ZRANGE', key, 0, -1, 'WITHSCORES')
  else
    found = call('ZRANGEBYSCORE', key, '-inf', NOW, 'WITHSCORES', 'LIMIT', 0, limit)
  end
  for i = 1, #found, 2 do late[#late + 1] = { found[i], tonumber(found[i + 1]), key } end
end
if #plans > 1 then table.sort(late, function(a, b) return a[2] < b[2] end) end
local is_alive = {}
for _, owner in ipairs(alive) do is_alive[owner] = true end
local given = 0
for _, one in ipairs(late) do
  if given >= limit then break end
  local name, key = one[1], one[3]
  local id, address = unpack_pair(name)
  local task = begin(id) and find_task(address)
  local record = task and task.record
  if not task or DUE_KEY ~= key or not HAS_WAKE_AT[record[STATUS]] then
    -- The keys of the run have expired, or a user deleted them.
    call('ZREM', key, name)
    if not task then call('HDEL', LEASES_KEY, name) end
  elseif record[STATUS] == 'running' and is_alive[record[OWNER]] and not undelivered then
    given = given + 1
    call('ZADD', key, NOW + lease, name)
    for _, value in ipairs({ record[OWNER], id, address, record[ATTEMPT] }) do held[#held + 1] = value end
  elseif not undelivered or record[STATUS] == 'scheduled' then
    given = given + 1
    if record[STATUS] == 'running' then record[LOST] = record[LOST] + 1 end
    if COUNTED[record[STATUS]] == 'timed' and record[STATUS] ~= 'retrying' then rise(record[FAN], TIMED) end
    record[DISPATCHES] = record[DISPATCHES] + 1
    set_status(task, 'scheduled', again_at(task))
    close()
    local about = call('HMGET', RUN_KEY, 'workflow', 'fingerprint')
    for _, text in ipairs({ id, address, about[1], about[2], record[QUEUE] }) do reply[#reply + 1] = text end
  end
end
local soonest
for _, plan in ipairs(plans) do
  local first = tonumber(call('ZRANGE', due_key(plan), 0, 0, 'WITHSCORES')[2])
  if first and (not soonest or first < soonest) then soonest = first end
end
if soonest then reply[1] = format('%.6f', math.max(0, soonest - NOW)) end
-- Redis has deleted the keys of runs whose retention is over. This deletes their entries in the indexes, up to 100 in
-- each call.
if retention > 0 then
  for _, name in ipairs(call('ZRANGEBYSCORE', ENDED_KEY, '-inf', NOW - retention, 'LIMIT', 0, 100)) do
    local id, workflow = unpack_pair(name)
    local found = begin(id)
    local same = found and call('HGET', RUN_KEY, 'workflow') == workflow
    if not (same and IS_FINISHED[run.status]) then -- the run is deleted, or another run has its id now
      call('ZREM', ENDED_KEY, name)
      if not found then call('ZREM', RUNS_KEY, id) end
      if not same then call('ZREM', PREFIX .. 'runs-of:' .. workflow, id) end
    elseif not run.expires then -- the run ended while the store had no retention
      run.expires = math.floor((NOW + retention) * 1000)
      call('HSET', RUN_KEY, 'expires', format('%.0f', run.expires))
      close()
    end
  end
end
return reply
