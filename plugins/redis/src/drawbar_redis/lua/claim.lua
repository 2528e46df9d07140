-- Leases a task to an owner.
--
-- Head: [address, owner, lease, widen, redispatch].
-- Reply: ["granted", task, run, slots, [address, queue]] | ["finished", [address, queue, …]] | [status].
local h = decode(ARGV[1])
local address, owner, lease = h[1], h[2], h[3]
REDISPATCH = h[5]
if not use(THIS) then return { 'missing' } end
local t = get(address)
if not t then return { is_held(address) and 'early' or 'missing' } end
local m = t.m
local was = m[STATUS]
if OVER[was] then
  local children, still = call('HGET', VALUES, 'c' .. address), {}
  children = children and decode(children) or {}
  for i = 1, #children, 2 do
    local child = get(children[i])
    if child and child.m[STATUS] == 'scheduled' and child.m[ATTEMPT] == 0 and child.m[PARENT] == address then
      still[#still + 1] = children[i]
      still[#still + 1] = children[i + 1]
    end
  end
  return { 'finished', still }
end
if was ~= 'scheduled' then
  local wake = TIMED[was] and call('ZSCORE', DUE, member(t))
  if not wake or tonumber(wake) > NOW then return { was == 'running' and 'leased' or 'early' } end
  if was == 'running' then m[LOST] = m[LOST] + 1 end
end
m[ATTEMPT] = m[ATTEMPT] + 1
m[DISPATCHES] = 0
if m[STARTED] == '' then m[STARTED] = NOW_TEXT end
status(t, 'running', NOW + lease)
m[OWNER] = owner
if m[KIND] == 'step' then event('task.started', address, '{"attempt":' .. m[ATTEMPT] .. '}') end
if not OVER[run.status] then
  run.status = 'running'
  if not run.started then call('HSET', RUN, 'started', NOW_TEXT) end
end
if h[4] and m[FAN] ~= '' and m[ATTEMPT] == 1 then
  BY = address
  pull(m[FAN])
end
if #ready > 0 then value('c', address, encode(ready)) end
flush()
local slots = m[KIND] == 'join' and call('HGETALL', slots_key(address))
return { 'granted', reply_task(t), reply_run(), slots, ready }
