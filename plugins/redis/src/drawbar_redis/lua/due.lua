-- Makes tasks whose time has come claimable, and hands them out.
-- Twin of drawbar.stores.control.due, with drawbar.stores.rows.Rows.overdue, drawbar.stores.rows.Rows.undelivered and
-- drawbar.stores.rows.Rows.next_wake.
--
-- Head: [limit, redispatch, retention, undelivered]. Reply: [seconds until the next task or '', run id, address,
-- workflow, fingerprint, queue, …].
local limit, redispatch, retention, undelivered = unpack(decode(ARGV[1]))
REDISPATCH = redispatch
local reply = { '' }
local names
if undelivered then
  names = call('ZRANGE', DUE_KEY, 0, -1)
else
  names = call('ZRANGEBYSCORE', DUE_KEY, '-inf', NOW, 'LIMIT', 0, limit)
end
local given = 0
for _, name in ipairs(names) do
  if given >= limit then break end
  local id, address = unpack_pair(name)
  local task = begin(id) and find_task(address)
  local record = task and task.record
  if not task or not HAS_WAKE_AT[record[STATUS]] then
    -- The keys of the run have expired, or a user deleted them.
    call('ZREM', DUE_KEY, name)
    call('HDEL', LEASES_KEY, name)
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
local first = call('ZRANGE', DUE_KEY, 0, 0, 'WITHSCORES')
if first[2] then reply[1] = format('%.6f', math.max(0, tonumber(first[2]) - NOW)) end
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
