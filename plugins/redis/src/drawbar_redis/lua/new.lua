-- Part of the library: it creates tasks, and frees held ones.

-- Creates the record of a task. It has no status until `set_status` gives it one.
-- Twin of the constructor of drawbar.records.Task.
local function create_task(place, address, kind, queue, fan)
  local task = task_table(address, {
    place, kind, '', 0, 0, 0, queue, fan, BY or '', '', '', '', '', 0, 0, 0, 0, '', '', '',
  })
  task.stored_status, task.new = false, true
  seen[address] = task
  return task
end

-- Keeps the output of a finished task.
-- No twin: other stores have one column for it. Two kinds of value let `Store.outputs` read only the field 'o'.
local function keep_output(status, address, output)
  if status == 'completed' then
    keep_value('o', address, output == '' and 'null' or output)
  elseif output ~= '' then
    keep_value('x', address, output)
  end
end

-- Returns the next task's place in the order of creation.
-- No twin: rows of other stores are in order by themselves.
local function next_place()
  run.tasks = run.tasks + 1
  return run.tasks
end

-- Lets a task wait for its event. If the event was kept, the task takes the oldest one and becomes free at once.
-- Twin of drawbar.stores.change.Change.add and of drawbar.stores.control.retry, for their WAITING tasks, with
-- drawbar.stores.rows.Rows.collect.
local function wait_for_event(task)
  local record = task.record
  local name = record[EVENT]
  local payload = name ~= '' and call('LPOP', kept_events_key(name))
  if payload then
    task.data = payload
    keep_value('d', task.address, payload)
    free(task)
    return
  end
  local delay = number(record[DELAY])
  set_status(task, 'waiting', delay and NOW + delay)
  if name ~= '' then
    call('RPUSH', waiting_tasks_key(name), task.address)
    call('SADD', EXTRA_KEY, waiting_tasks_key(name))
  end
end

-- Creates a task from its text, unless its address is taken. The text (see drawbar_redis.arguments.new_task) is a
-- line with a JSON array [address, kind, queue, fan], which goes on with [status, delay, until, event, length of
-- input, length of output] when the task is not just SCHEDULED; then its input, output and error. `place` is the
-- task's place among the new tasks of a transition: with it the reply leaves out the input, which Python has.
-- Returns the task that it created.
-- Twin of drawbar.stores.change.Change.add.
local function add(text, join, place)
  local cut = find(text, '\n', 1, true)
  local address, kind, queue, fan, status, delay, wake_at, event_name, input_length, output_length
    = unpack(decode(sub(text, 1, cut - 1)))
  status = status or 'scheduled'
  if exists(address) or is_held(address) then return end
  local task = create_task(next_place(), address, kind, queue, fan == 1 and join or fan)
  task.place = place
  local input = sub(text, cut + 1)
  if input_length then
    local rest = sub(input, input_length + 1)
    input = sub(input, 1, input_length)
    local output, failure = sub(rest, 1, output_length), sub(rest, output_length + 1)
    if status == 'suspended' then
      if output ~= '' then keep_value('p', address, output) end
    else
      keep_output(status, address, output)
    end
    if failure ~= '' then keep_value('e', address, failure) end
  end
  if input ~= '' then
    keep_value('i', address, input)
    if not place then task.input = input end
  end
  if status == 'scheduled' then
    free(task)
  elseif status == 'sleeping' or status == 'waiting' then
    local record = task.record
    record[EVENT] = event_name
    if wake_at then delay = wake_at - NOW end
    if delay then record[DELAY] = format('%.17g', delay) end
    if status == 'waiting' then
      wait_for_event(task)
    else
      set_status(task, status, wake_at or NOW + (delay or 0))
    end
    if COUNTED[record[STATUS]] == 'timed' then -- it is not, when its event had been kept
      timed[#timed + 1] = address
      timed[#timed + 1] = record[QUEUE]
    end
  else
    set_status(task, status)
  end
  return task
end

-- Frees the first held task of a join.
-- Twin of drawbar.stores.change.Change.pull, with drawbar.stores.rows.Rows.held.
local function pull(join)
  local join_task = find_task(join)
  local key = held_tasks_key(join)
  while join_task do
    local text = call('LPOP', key)
    if not text then return end
    local cut = find(text, '\n', 1, true)
    local address, kind, queue = unpack(decode(sub(text, 1, cut - 1)))
    call('SREM', HELD_KEY, address)
    if not exists(address) then
      -- Held tasks have no places of their own: they count back from the place of the join's last one.
      local task = create_task(join_task.record[LAST] - call('LLEN', key), address, kind, queue, join)
      task.input = sub(text, cut + 1)
      if task.input ~= '' then keep_value('i', address, task.input) end
      free(task)
      return
    end
  end
end

-- Calls a command with the arguments from `first` to `last`, in chunks as `call_in_chunks` does, without a copy.
-- No twin: Python has no such limit.
local function call_with_arguments(command, key, first, last)
  for i = first, last, 4000 do call(command, key, unpack(ARGV, i, math.min(i + 3999, last))) end
end

-- Creates a join and the tasks that fill its slots. Its arguments stand behind the argument `before`: the texts of the
-- tasks, then the addresses of those beyond the window. Returns the place of the last of them.
-- Twin of drawbar.stores.change.Change.fan_out.
local function fan_out(before, join, total, window, tasks, fan, places, timed_slots, suspended_slots)
  local held = math.max(tasks - window, 0)
  if not exists(join) and not is_held(join) then
    local join_task = create_task(next_place(), join, 'join', '', fan)
    local record = join_task.record
    record[TOTAL], record[REMAINING] = total, total
    record[PLACES], record[TIMED_SLOTS], record[SUSPENDED_SLOTS] = places, timed_slots, suspended_slots
    if total == 0 then free(join_task) else set_status(join_task, 'joining') end
    call('SADD', EXTRA_KEY, slots_key(join))
    for i = 1, tasks - held do add(ARGV[before + i], join, i) end
    if held > 0 then
      -- The tasks beyond the window stay texts until they are pulled: no records, no index, no events.
      local before_held = before + tasks - held
      call_with_arguments('RPUSH', held_tasks_key(join), before_held + 1, before_held + held)
      call_with_arguments('SADD', HELD_KEY, before_held + held + 1, before_held + 2 * held)
      call('SADD', EXTRA_KEY, held_tasks_key(join))
      run.tasks = run.tasks + held
    end
    record[LAST] = run.tasks
  end
  return before + tasks + held
end
