-- Makes overdue tasks claimable and hands them out.
--
-- Head: [limit, redispatch, retention, undelivered]. Reply: [seconds until the next or '', run id, address,
-- workflow, fingerprint, queue, …].
local h = decode(ARGV[1])
REDISPATCH = h[2]
local reply = { '' }
local limit, undelivered, names = h[1], h[4], nil
if undelivered then
  names = call('ZRANGE', DUE, 0, -1)
else
  names = call('ZRANGEBYSCORE', DUE, '-inf', NOW, 'LIMIT', 0, limit)
end
local given = 0
for _, name in ipairs(names) do
  if given >= limit then break end
  local id, address = unpacked(name)
  local t = use(id) and get(address)
  local m = t and t.m
  if not t or not TIMED[m[STATUS]] then
    -- The run's keys are gone: expired, or deleted by hand.
    call('ZREM', DUE, name)
    call('HDEL', LEASES, name)
  elseif not undelivered or m[STATUS] == 'scheduled' then
    given = given + 1
    if m[STATUS] == 'running' then m[LOST] = m[LOST] + 1 end
    m[DISPATCHES] = m[DISPATCHES] + 1
    status(t, 'scheduled', again_at(t))
    flush()
    local about = call('HMGET', RUN, 'workflow', 'fingerprint')
    for _, text in ipairs({ id, address, about[1], about[2], m[QUEUE] }) do reply[#reply + 1] = text end
  end
end
local first = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
if first[2] then reply[1] = format('%.6f', math.max(0, tonumber(first[2]) - NOW)) end
-- Redis has expired the keys of runs that ended long enough ago; their entries in the indexes go here, some
-- at a time.
if h[3] > 0 then
  for _, name in ipairs(call('ZRANGEBYSCORE', ENDED, '-inf', NOW - h[3], 'LIMIT', 0, 100)) do
    local id, workflow = unpacked(name)
    local there = use(id)
    local same = there and call('HGET', RUN, 'workflow') == workflow
    if not (same and OVER[run.status]) then -- gone, or the id is another run's now
      call('ZREM', ENDED, name)
      if not there then call('ZREM', RUNS, id) end
      if not same then call('ZREM', BASE .. 'runs-of:' .. workflow, id) end
    elseif not run.expires then -- it ended when nothing was to expire
      run.expires = math.floor((NOW + h[3]) * 1000)
      call('HSET', RUN, 'expires', format('%.0f', run.expires))
      flush()
    end
  end
end
return reply
