-- Leases a task to an owner.
-- Twin of drawbar.stores.transitions.claim.
--
-- Head: [address, owner, lease, widen, redispatch, fingerprint or false].
-- Reply: ["granted", task, run, slots, [address, queue]] | ["finished", [address, queue, …]] | ["other plan", run] |
-- [status].
local address, owner, lease, widen, redispatch, fingerprint = unpack(decode(ARGV[1]))
REDISPATCH = redispatch
if not begin(TARGET_RUN) then return { 'missing' } end
if fingerprint and run.fingerprint ~= fingerprint then return { 'other plan', reply_run() } end
local task = find_task(address)
if not task then return { is_held(address) and 'early' or 'missing' } end
local record = task.record
local status = record[STATUS]
if IS_FINISHED[status] then
  -- Twin of drawbar.stores.rows.Rows.children.
  local children, unclaimed = call('HGET', VALUES_KEY, 'c' .. address), {}
  children = children and decode(children) or {}
  for i = 1, #children, 2 do
    local child = find_task(children[i])
    child = child and child.record
    if child and child[STATUS] == 'scheduled' and child[ATTEMPT] == 0 and child[PARENT] == address then
      unclaimed[#unclaimed + 1] = children[i]
      unclaimed[#unclaimed + 1] = children[i + 1]
    end
  end
  return { 'finished', unclaimed }
end
if status ~= 'scheduled' then
  local wake_at = HAS_WAKE_AT[status] and call('ZSCORE', DUE_KEY, member(task))
  if not wake_at or tonumber(wake_at) > NOW then return { status == 'running' and 'leased' or 'early' } end
  if status == 'running' then record[LOST] = record[LOST] + 1 end
end
record[ATTEMPT] = record[ATTEMPT] + 1
record[DISPATCHES] = 0
record[STARTED] = NOW_TEXT
if COUNTED[status] == 'timed' and status ~= 'retrying' then rise(record[FAN], TIMED) end
set_status(task, 'running', NOW + lease)
record[OWNER] = owner
if record[KIND] == 'step' then event('task.started', address, '{"attempt":' .. record[ATTEMPT] .. '}') end
if not IS_FINISHED[run.status] then
  run.status = 'running'
  if not run.started then call('HSET', RUN_KEY, 'started', NOW_TEXT) end
end
if widen and record[FAN] ~= '' and record[ATTEMPT] == 1 then
  BY = address
  pull(record[FAN])
end
if #ready > 0 then keep_value('c', address, encode(ready)) end
close()
local slots = record[KIND] == 'join' and call('HGETALL', slots_key(address))
return { 'granted', reply_task(task), reply_run(), slots, ready }
