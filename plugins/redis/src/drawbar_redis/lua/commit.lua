-- Applies a transition: the outcome of a claimed task and all that follows from it.
--
-- Head: [address, attempt, status, delay, bail, pull, claim, owner, lease, queue, want state, redispatch, retention,
--   number of state pairs, number of events, number of finished records, next, want events],
--   with false for what is not there.
-- next: false | ["task"] | ["fan", join, total, window, tasks] | ["arrive", join, slot] | ["finish", status].
-- Then output, error, payload, state pairs, events, finished records, what `next` needs, unfinished records.
-- A fan-out needs the items of its tasks, and then once more the addresses of those beyond the window.
-- Reply: [0] when refused, else [1, ended, next task, its slots, [ready], state, newest event, [events]].
local h = decode(ARGV[1])
local address, outcome, bail, held_of, follows = h[1], h[3], h[5], h[6], h[17]
if not use(THIS) then return { 0 } end
local t = get(address)
-- The fence: whoever has lost its lease is not heard any more.
if not t or t.m[STATUS] ~= 'running' or t.m[ATTEMPT] ~= h[2] then return { 0 } end
REDISPATCH, RETENTION = h[12], h[13]
BY = address
if h[7] then CLAIM = { owner = h[8], lease = h[9], queue = h[10] } end
local at = 4
local function take()
  at = at + 1
  return ARGV[at]
end
local function push(command, key, first, last)
  for i = first, last, 4000 do call(command, key, unpack(ARGV, i, math.min(i + 3999, last))) end
end

-- The task itself.
local output, failure, payload = ARGV[2], ARGV[3], ARGV[4]
if outcome == 'retrying' then
  t.m[FAILURES] = t.m[FAILURES] + 1
  status(t, outcome, NOW + h[4])
else
  status(t, outcome)
end
if outcome == 'suspended' then
  value('p', address, payload)
elseif outcome ~= 'retrying' then
  if t.m[ATTEMPT] > 1 then call('HDEL', VALUES, 'x' .. address) end
  put_out(outcome, address, output)
end
if failure ~= '' then
  value('e', address, failure)
elseif outcome ~= 'suspended' and t.m[FAILURES] > 0 then
  call('HDEL', VALUES, 'e' .. address) -- an earlier attempt's
end

if h[14] > 0 then
  local state = {}
  for _ = 1, 2 * h[14] do state[#state + 1] = take() end
  many('HSET', STATE, state)
end
for _ = 1, h[15] do events[#events + 1] = '[' .. NOW_TEXT .. ',' .. take() end

if bail then
  local ended = { joining = true }
  for name in pairs(COUNTED) do ended[name] = true end
  for _, other in ipairs(among(OPEN, ended, bail)) do cancel(other, false) end
end
for _ = 1, h[16] do add(take()) end

-- What follows.
local kind = follows and follows[1]
if kind == 'task' then
  add(take(), nil, 0)
elseif kind == 'arrive' then
  local join, slot = follows[2], follows[3]
  local filled = take()
  local j = get(join)
  if j and j.m[STATUS] == 'joining' and call('HSETNX', slots_key(join), slot, filled) == 1 then
    j.m[REMAINING] = j.m[REMAINING] - 1
    if j.m[REMAINING] == 0 then
      free(j)
    else
      touch(j)
      pull(join)
    end
  end
elseif kind == 'fan' then
  local join, total, window, tasks = follows[2], follows[3], follows[4], follows[5]
  local first = at
  local held = math.max(tasks - window, 0)
  if not exists(join) and not is_held(join) then
    local j = make(count(), join, 'join', '', '')
    j.m[TOTAL], j.m[REMAINING] = total, total
    if total == 0 then free(j) else status(j, 'joining') end
    call('SADD', OTHERS, slots_key(join))
    for i = 1, tasks - held do add(ARGV[first + i], join, i) end
    if held > 0 then
      -- The rest is kept as it came, until it is pulled: no records, no index, no events.
      local line = first + tasks - held
      push('RPUSH', line_key(join), line + 1, line + held)
      push('SADD', HELD, line + held + 1, line + 2 * held)
      call('SADD', OTHERS, line_key(join))
      run.tasks = run.tasks + held
    end
    j.m[LAST] = run.tasks
  end
  at = first + tasks + held
elseif kind == 'finish' then
  local ended_output, ended_error, data = take(), take(), take()
  if not OVER[run.status] then finish(follows[2], ended_output, ended_error, data) end
end
while at < #ARGV do add(take()) end
-- Of a join that this transition opens, the first window is all that starts.
if held_of and not (seen[held_of] and seen[held_of].new) then pull(held_of) end

-- What nobody has claimed yet is found again by whoever is sent to this task a second time.
local children = ready
if #timed > 0 then
  for i = 1, #ready do timed[#timed + 1] = ready[i] end
  children = timed
end
if #children > 0 then
  local before = (t.m[ATTEMPT] > 1 or t.m[FAN] ~= '') and call('HGET', VALUES, 'c' .. address)
  if before then
    before = decode(before)
    for i = 1, #children do before[#before + 1] = children[i] end
  end
  value('c', address, encode(before or children))
end
flush()
if outcome == 'completed' and t.m[KIND] == 'join' then
  call('UNLINK', slots_key(address))
  call('SREM', OTHERS, slots_key(address))
  if call('EXISTS', line_key(address)) == 0 then call('SREM', OTHERS, line_key(address)) end
end
-- false, for nil would end the reply where it stands.
local slots = NEXT and NEXT.m[KIND] == 'join' and call('HGETALL', slots_key(NEXT.address)) or false
return {
  1, run.ended and 1 or 0, NEXT and reply_task(NEXT) or false, slots, ready, h[11] and call('HGETALL', STATE),
  h[18] and run.seq or 0, h[18] and events,
}
