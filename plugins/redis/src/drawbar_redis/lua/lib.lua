-- The start of every script: the clock, the keys, and one unit of work on one run.
--
-- An operation only says what happens to tasks (`set_status`, `free`, `cancel`, `add`). `close` then writes each
-- changed task once. It also writes what is derived from tasks: the run's counters and status, the due index and the
-- leases. No other code writes these.
--
-- Values of users are JSON text that only Python makes and reads. They pass through here as strings: cjson would
-- turn an empty list into an object, lose digits of big integers and refuse NaN. cjson is only for the heads and
-- records of this package.
--
-- The name of KEYS[1] gives the start of all keys of the shard. KEYS[2], where a script has it, is the run. All other keys are derived and carry the same hash tag, so a cluster has them on the
-- same node.
--
-- Every function and script here has a comment that names its Python twin: the object in Drawbar's Python that does
-- the same for the other stores. When you change one of the two, change the other. drawbar_redis.scripts writes the
-- constants END, COUNTED, HAS_WAKE_AT and IS_FINISHED before this text, from the values in core.

local call = redis.call
local encode, decode = cjson.encode, cjson.decode
local find, sub, format = string.find, string.sub, string.format

local clock = call('TIME')
local NOW = clock[1] + clock[2] / 1000000
local NOW_TEXT = format('%.6f', NOW)

-- The keys of the shard.
local PREFIX = sub(KEYS[1], 1, -4)
local LEASES_KEY = PREFIX .. 'leases' -- hash: task → attempt:owner, of every RUNNING task
local RUNS_KEY = PREFIX .. 'runs'     -- sorted set: run id by creation
local ENDED_KEY = PREFIX .. 'ended'   -- sorted set: pair (run id, workflow) by end
local PLANS_KEY = PREFIX .. 'plans'   -- set: the fingerprints of all runs

-- The places in a task's record, which is a JSON array. '' stands for None. `wake_at` has no place: while a task
-- waits for a time, the score in the due index is its only copy (so a renewal is one ZADD). KEPT_WAKE_AT keeps it
-- after a cancellation.
local NUMBER, KIND, STATUS, ATTEMPT, FAILURES, LOST, QUEUE, FAN, PARENT, EVENT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local DELAY, WAS, OWNER, DISPATCHES, TOTAL, REMAINING, LAST = 11, 12, 13, 14, 15, 16, 17
local STARTED, FINISHED, KEPT_WAKE_AT = 18, 19, 20
-- Places that only joins have (the first three) and tasks that wait for a place of a join.
local PLACES, TIMED_SLOTS, SUSPENDED_SLOTS, WAITS_AT, TURN = 21, 22, 23, 24, 25

-- Settings of the store, which a script gets in its head. A script that frees tasks needs REDISPATCH.
local REDISPATCH, RETENTION = nil, 0

-- The unit of work. Twin of drawbar.stores.change.Change.
local TARGET_RUN = KEYS[2] and sub(KEYS[2], #PREFIX + 5) -- the id of the run in KEYS[2]

local RUN_ID, MEMBER_PREFIX -- the id of the run, and the start of its tasks' members of the indexes
local DUE_KEY -- the due index of the run's plan
local RUN_KEY, OPEN_KEY, DONE_KEY, HELD_KEY, VALUES_KEY, STATE_KEY, EVENTS_KEY, EXTRA_KEY
local run     -- the head of the run, or nil
local seen    -- address → task, for every task that was read or created
local changed -- the tasks to write, in order
local events  -- JSON texts of the events to append
local ready   -- address, queue, … of the tasks that became free
local timed   -- address, queue, … of the new tasks that become free when their time has come
local BY      -- address of the task whose transition this is
local CLAIM   -- {owner, lease, queue} while a task may be claimed in place
local NEXT    -- the task that was claimed in place

-- Joins two strings into one member of an index. Both may hold any character.
-- Twin of drawbar_redis.keys.pack_pair.
local function pack_pair(first, second)
  return #first .. ':' .. first .. second
end

-- Splits a member of an index.
-- No twin: only scripts read members.
local function unpack_pair(member)
  local colon = find(member, ':', 1, true)
  local cut = colon + tonumber(sub(member, 1, colon - 1))
  return sub(member, colon + 1, cut), sub(member, cut + 1)
end

-- Calls a command with a long list. A call takes as many arguments as Lua's stack holds, so the list goes in
-- chunks, of an even number for lists of pairs.
-- No twin: Python has no such limit.
local function call_in_chunks(command, key, list)
  local n = #list
  if n <= 4000 then return call(command, key, unpack(list)) end
  local last
  for i = 1, n, 4000 do last = call(command, key, unpack(list, i, math.min(i + 3999, n))) end
  return last
end

-- Returns a number, or nil for ''.
-- Twin of drawbar_redis.replies.number.
local function number(text)
  if text == '' then return nil end
  return tonumber(text)
end

-- Returns the key of a plan's due index (sorted set: task by `wake_at`). Each plan has its own, so that a ticker reads
-- only what its workers can run.
-- No twin: other stores keep the plan as a column.
local function due_key(fingerprint) return PREFIX .. 'due:' .. fingerprint end

-- Starts a unit of work on a run. Returns true if the store has the run.
-- Twin of drawbar.stores.rows.Rows.run, and of the constructor of drawbar.stores.change.Change.
local function begin(id)
  RUN_ID, MEMBER_PREFIX = id, #id .. ':' .. id
  RUN_KEY, OPEN_KEY, DONE_KEY = PREFIX .. 'run:' .. id, PREFIX .. 'open:' .. id, PREFIX .. 'done:' .. id
  VALUES_KEY, STATE_KEY = PREFIX .. 'values:' .. id, PREFIX .. 'state:' .. id
  EVENTS_KEY = PREFIX .. 'events:' .. id
  HELD_KEY = PREFIX .. 'held:' .. id    -- set: the addresses of all held tasks
  EXTRA_KEY = PREFIX .. 'others:' .. id -- set: the keys of the functions below and of turns_key, which a run has only at times
  seen, changed, events, ready, timed = {}, {}, {}, {}, {}
  BY, CLAIM, NEXT = nil, nil, nil
  local fields = call('HMGET', RUN_KEY, 'status', 'active', 'timed', 'suspended', 'tasks', 'started', 'expires',
    'fingerprint')
  if not fields[1] then
    run, DUE_KEY = nil, nil
    return false
  end
  DUE_KEY = due_key(fields[8])
  for i = 2, 5 do fields[i] = tonumber(fields[i]) end
  run = {
    status = fields[1], active = fields[2], timed = fields[3], suspended = fields[4], tasks = fields[5],
    stored = fields, started = fields[6], expires = tonumber(fields[7]), fingerprint = fields[8], seq = false, ended = false,
  }
  return true
end

-- Returns the key of the texts of a join's held tasks (list).
-- No twin: other stores keep held tasks as rows.
local function held_tasks_key(join) return PREFIX .. 'line:' .. MEMBER_PREFIX .. ':' .. join end

-- Returns the key of the slots that have arrived at a join (hash).
-- No twin: a key of Redis.
local function slots_key(join) return PREFIX .. 'slots:' .. MEMBER_PREFIX .. ':' .. join end

-- Returns the key of the kept payloads of an event (list).
-- No twin: a key of Redis.
local function kept_events_key(event) return PREFIX .. 'mail:' .. MEMBER_PREFIX .. ':' .. event end

-- Returns the key of the addresses of the tasks that wait for an event (list).
-- No twin: a key of Redis.
local function waiting_tasks_key(event) return PREFIX .. 'ears:' .. MEMBER_PREFIX .. ':' .. event end

-- Notes an event of the run.
-- No twin: Python appends to the list Change.events. drawbar_redis.replies.event reads this text.
local function event(type, address, data)
  events[#events + 1] = '[' .. NOW_TEXT .. ',"' .. type .. '",' .. (address and encode(address) or 'null')
    .. ',' .. (data or '{}') .. ']'
end

-- Keeps a value. The kinds of a task's values are 'i' (input), 'o' (output: only while the task is completed), 'x'
-- (output of a failed task), 'e' (error), 'p' (payload), 'd' (data) and 'c' (children). The kinds of the run's values,
-- which have no address, are 'I' (input), 'O' (output), 'E' (error) and 'M' (metadata).
-- No twin: other stores keep values as columns.
local function keep_value(kind, address, json)
  call('HSET', VALUES_KEY, kind .. address, json)
end

-- Returns the table of a task as the store has it. All fields are named at once, because Lua copies a table that grows.
-- No twin: the table stands for drawbar.records.Task, with what a script notes beside it.
local function task_table(address, record)
  return {
    address = address, record = record, stored_status = record[STATUS], new = false, changed = false,
    wake_at = false, text = false, place = false, input = false, data = false,
  }
end

-- Returns the task of that address, or nil. A held task has no record yet.
-- Twin of drawbar.stores.rows.Rows.task.
local function find_task(address)
  local task = seen[address]
  if task then return task end
  local text = call('HGET', OPEN_KEY, address) or call('HGET', DONE_KEY, address)
  if not text then return nil end
  local record = decode(text)
  task = task_table(address, record)
  seen[address] = task
  return task
end

-- Returns true if there is a task of that address, other than a held one.
-- Twin of drawbar.stores.rows.Rows.exists, together with `is_held`.
local function exists(address)
  return seen[address] or call('HEXISTS', OPEN_KEY, address) == 1 or call('HEXISTS', DONE_KEY, address) == 1
end

-- Returns true if there is a held task of that address.
-- Twin of drawbar.stores.rows.Rows.exists, together with `exists`.
local function is_held(address)
  return call('SISMEMBER', HELD_KEY, address) == 1
end

-- Returns the task's member of the due index and the leases.
-- Twin of drawbar_redis.keys.pack_pair, for the run of this unit of work.
local function member(task) return MEMBER_PREFIX .. task.address end

-- Notes a task for `close` to write.
-- No twin: Python writes each change at once, with Rows.save.
local function mark_changed(task)
  if not task.changed then
    task.changed = true
    changed[#changed + 1] = task
  end
end

-- Sets a task's status and `wake_at` (nil: none), and counts it in the run.
-- No twin: Python does these lines at each place. drawbar.stores.change.COUNTED says which counter a status has.
local function set_status(task, new, wake_at)
  local record = task.record
  local before, after = COUNTED[record[STATUS]], COUNTED[new]
  if before then run[before] = run[before] - 1 end
  if after then run[after] = run[after] + 1 end
  record[STATUS] = new
  task.wake_at = wake_at
  if new ~= 'running' then record[OWNER] = '' end
  if IS_FINISHED[new] then record[FINISHED] = NOW_TEXT end
  mark_changed(task)
end

-- Returns the time at which a SCHEDULED task is handed out again if no worker has claimed it.
-- Twin of drawbar.stores.change.again_at.
local function again_at(task)
  return NOW + REDISPATCH * 2 ^ math.min(task.record[DISPATCHES], 5)
end

-- Makes a task SCHEDULED, or claims it in place if the transition wants that.
-- Twin of drawbar.stores.change.Change.free.
local function free(task, type)
  local record = task.record
  if record[KIND] == 'step' then event(type or 'task.scheduled', task.address) end
  record[PARENT] = BY or record[PARENT]
  if CLAIM and record[QUEUE] == CLAIM.queue then
    record[ATTEMPT] = record[ATTEMPT] + 1
    record[OWNER] = CLAIM.owner
    if record[STARTED] == '' then record[STARTED] = NOW_TEXT end
    set_status(task, 'running', NOW + CLAIM.lease)
    NEXT, CLAIM = task, nil
  else
    set_status(task, 'scheduled', again_at(task))
    ready[#ready + 1] = task.address
    ready[#ready + 1] = record[QUEUE]
  end
end

-- Returns all keys of the run.
-- No twin: only Redis has several keys for one run.
local function keys_of_run()
  local keys = call('SMEMBERS', EXTRA_KEY)
  for _, key in ipairs({ RUN_KEY, OPEN_KEY, DONE_KEY, HELD_KEY, VALUES_KEY, STATE_KEY, EVENTS_KEY, EXTRA_KEY }) do
    keys[#keys + 1] = key
  end
  return keys
end

-- Writes a changed task, and its entries in the due index, the leases and the tasks that wait for an event.
-- Twin of drawbar.stores.rows.Rows.save.
local function write_task(task)
  local record, before, address = task.record, task.stored_status, task.address
  local now, name, text = record[STATUS], MEMBER_PREFIX .. address, encode(record)
  task.text = text
  if IS_FINISHED[now] then
    call('HSET', DONE_KEY, address, text)
    if before and not IS_FINISHED[before] then call('HDEL', OPEN_KEY, address) end
  else
    call('HSET', OPEN_KEY, address, text)
    if before and IS_FINISHED[before] then call('HDEL', DONE_KEY, address) end
  end
  if task.wake_at then
    call('ZADD', DUE_KEY, task.wake_at, name)
  elseif HAS_WAKE_AT[before] then
    call('ZREM', DUE_KEY, name)
  end
  if now == 'running' then
    call('HSET', LEASES_KEY, name, record[ATTEMPT] .. ':' .. record[OWNER])
  elseif before == 'running' then
    call('HDEL', LEASES_KEY, name)
  elseif before == 'waiting' and now ~= 'waiting' and record[EVENT] ~= '' then
    call('LREM', waiting_tasks_key(record[EVENT]), 1, address)
  end
end

-- Ends the unit of work: settles the run's status, writes everything, and wakes the callers that watch the run.
-- Twin of drawbar.stores.change.Change.close.
local function close()
  if NEXT and NEXT.record[KIND] == 'step' then
    event('task.started', NEXT.address, '{"attempt":' .. NEXT.record[ATTEMPT] .. '}')
  end
  if run.status ~= 'pending' and not IS_FINISHED[run.status] then
    if run.active > 0 then
      run.status = 'running'
    elseif run.timed > 0 then
      run.status = 'waiting'
    elseif run.suspended > 0 and run.status ~= 'suspended' then
      run.status = 'suspended'
      event('run.suspended')
    end
  end
  for i = 1, #changed do write_task(changed[i]) end
  local stored = run.stored
  if run.status ~= stored[1] then call('HSET', RUN_KEY, 'status', run.status) end
  if run.active ~= stored[2] or run.timed ~= stored[3] or run.suspended ~= stored[4] or run.tasks ~= stored[5] then
    call('HSET', RUN_KEY, 'active', run.active, 'timed', run.timed, 'suspended', run.suspended,
      'tasks', run.tasks)
  end
  if #events > 0 then
    run.seq = call_in_chunks('RPUSH', EVENTS_KEY, events)
    call('PUBLISH', EVENTS_KEY, run.seq)
  end
  if run.active == 0 and (IS_FINISHED[run.status] or run.status == 'suspended') then
    call('PUBLISH', PREFIX .. 'rest:' .. RUN_ID, run.seq or call('LLEN', EVENTS_KEY))
  end
  if run.expires then
    for _, key in ipairs(keys_of_run()) do call('PEXPIREAT', key, format('%.0f', run.expires)) end
  end
end
