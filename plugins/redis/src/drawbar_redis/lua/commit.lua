-- Applies a transition: the outcome of a claimed task, and all that follows from it.
-- Twin of drawbar.stores.transitions.commit.
--
-- Head: [address, attempt, status, delay, bail, claim, owner, lease, queue, want state, redispatch, retention,
--   number of state pairs, number of events, number of finished tasks in extra, next, want events],
--   with false for what is not there.
-- next: false | ["task"] | ["fan", join, total, window, tasks, fan, places, timed, suspended] | ["arrive", join, slot]
-- | ["finish", status]. Then output, error, payload, state pairs, events, texts of finished tasks, the arguments of
-- `next` (of a fan-out: see `fan_out`), texts of unfinished tasks.
-- Reply: [0] when refused, else [1, ended, next task, its slots, [ready], state, newest event, [events]].
local address, attempt, outcome, delay, bail, wants_claim, owner, lease, queue, wants_state, redispatch, retention,
  state_pairs, new_events, finished_tasks, follows, wants_events = unpack(decode(ARGV[1]))
if not begin(TARGET_RUN) then return { 0 } end
local task = find_task(address)
-- The fence: a worker that has lost its lease cannot commit.
if not task or task.record[STATUS] ~= 'running' or task.record[ATTEMPT] ~= attempt then return { 0 } end
local record = task.record
REDISPATCH, RETENTION = redispatch, retention
BY = address
if wants_claim then CLAIM = { owner = owner, lease = lease, queue = queue } end
local at = 4

-- Returns the next argument.
-- No twin: Python has the transition as an object.
local function take()
  at = at + 1
  return ARGV[at]
end

-- The task's own columns.
local output, failure, payload = ARGV[2], ARGV[3], ARGV[4]
if outcome == 'retrying' then
  record[FAILURES] = record[FAILURES] + 1
  set_status(task, outcome, NOW + delay)
else
  set_status(task, outcome)
end
if outcome == 'suspended' then
  keep_value('p', address, payload)
elseif outcome ~= 'retrying' then
  if record[ATTEMPT] > 1 then call('HDEL', VALUES_KEY, 'x' .. address) end
  keep_output(outcome, address, output)
end
if failure ~= '' then
  keep_value('e', address, failure)
elseif outcome ~= 'suspended' and record[FAILURES] > 0 then
  call('HDEL', VALUES_KEY, 'e' .. address) -- the error of an earlier attempt
end

if state_pairs > 0 then
  local state = {}
  for _ = 1, 2 * state_pairs do state[#state + 1] = take() end
  call_in_chunks('HSET', STATE_KEY, state)
end
for _ = 1, new_events do events[#events + 1] = '[' .. NOW_TEXT .. ',' .. take() end

if bail then
  -- Twin of drawbar.stores.change.ENDED_BY_BAIL.
  local ended = { joining = true }
  for name in pairs(COUNTED) do ended[name] = true end
  for _, other in ipairs(among(OPEN_KEY, ended, bail)) do cancel(other, false) end
end
for _ = 1, finished_tasks do add(take()) end

local kind = follows and follows[1]
if kind == 'task' then
  local added = add(take(), nil, 0)
  if added and COUNTED[added.record[STATUS]] == 'timed' then fall(added.record[FAN], TIMED) end
elseif kind == 'arrive' then
  -- Twin of drawbar.stores.change.Change.arrive.
  local join, slot = follows[2], follows[3]
  local slot_value = take()
  local join_task = find_task(join)
  if join_task and join_task.record[STATUS] == 'joining'
    and call('HSETNX', slots_key(join), slot, slot_value) == 1 then
    join_task.record[REMAINING] = join_task.record[REMAINING] - 1
    local waiting = (join_task.record[TIMED_SLOTS] or 0) + (join_task.record[SUSPENDED_SLOTS] or 0)
    if join_task.record[REMAINING] == 0 then
      free(join_task)
    else
      mark_changed(join_task)
      if waiting > 0 then pass_on_and_fall(join_task) else pull(join) end
    end
  end
elseif kind == 'fan' then
  at = fan_out(at, unpack(follows, 2))
elseif kind == 'finish' then
  local run_output, run_error, data = take(), take(), take()
  if not IS_FINISHED[run.status] then finish(follows[2], run_output, run_error, data) end
end
while at < #ARGV do add(take()) end
if outcome == 'suspended' then fall(record[FAN], AT_REST) end

-- The task keeps the addresses of what it freed. A second delivery of the task dispatches those again that no worker
-- has claimed yet (see claim.lua).
local children = ready
if #timed > 0 then
  for i = 1, #ready do timed[#timed + 1] = ready[i] end
  children = timed
end
if #children > 0 then
  local earlier = (record[ATTEMPT] > 1 or record[FAN] ~= '') and call('HGET', VALUES_KEY, 'c' .. address)
  if earlier then
    earlier = decode(earlier)
    for i = 1, #children do earlier[#earlier + 1] = children[i] end
  end
  keep_value('c', address, encode(earlier or children))
end
close()
if outcome == 'completed' and record[KIND] == 'join' then
  call('UNLINK', slots_key(address))
  call('SREM', EXTRA_KEY, slots_key(address))
  if call('EXISTS', held_tasks_key(address)) == 0 then call('SREM', EXTRA_KEY, held_tasks_key(address)) end
end
-- Where there is no value it is false: a nil would end the reply at its place.
local slots = NEXT and NEXT.record[KIND] == 'join' and call('HGETALL', slots_key(NEXT.address)) or false
return {
  1, run.ended and 1 or 0, NEXT and reply_task(NEXT) or false, slots, ready,
  wants_state and call('HGETALL', STATE_KEY), wants_events and run.seq or 0, wants_events and events,
}
