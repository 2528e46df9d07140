-- What every script starts with: the clock, the keys, and one unit of work on one run.
--
-- An operation only says what becomes of tasks (`status`, `free`, `cancel`, `add`); `flush` then writes each
-- touched task once and keeps everything that is derived from tasks in step: the run's counters and status,
-- the due index, the leases. Nothing else writes them.
--
-- Users' values are JSON text made and read by Python alone. They pass through here as opaque strings: cjson
-- would turn an empty list into an object, lose digits of big integers and refuse NaN. cjson is for our own
-- heads and records.
--
-- KEYS[1] is always the due index of the shard, whose name also says how all keys of the shard start;
-- KEYS[2], where there is one, is the run. All other keys are derived and carry the same hash tag, so in a
-- cluster they are on the same node.

local call = redis.call
local encode, decode = cjson.encode, cjson.decode
local find, sub, format = string.find, string.sub, string.format

local clock = call('TIME')
local NOW = clock[1] + clock[2] / 1000000
local NOW_TEXT = format('%.6f', NOW)

local DUE = KEYS[1]
local BASE = sub(DUE, 1, -4)
local LEASES = BASE .. 'leases' -- hash: task → attempt:owner, of every RUNNING task
local RUNS = BASE .. 'runs'     -- sorted set: run id by creation
local ENDED = BASE .. 'ended'   -- sorted set: packed (run id, workflow) by end

-- Places in a task's record, a JSON array. '' stands for None. `wake_at` is not among them: the score in the
-- due index is the only copy while a task waits for a time (so a renewal is one ZADD); WAKE keeps it past a
-- cancellation.
local NUMBER, KIND, STATUS, ATTEMPT, FAILURES, LOST, QUEUE, FAN, PARENT, EVENT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
local DELAY, WAS, OWNER, DISPATCHES, TOTAL, REMAINING, LAST = 11, 12, 13, 14, 15, 16, 17
local STARTED, FINISHED, WAKE = 18, 19, 20

local COUNTED = {
  scheduled = 'active', running = 'active', retrying = 'active',
  sleeping = 'timed', waiting = 'timed', suspended = 'suspended',
}
local TIMED = { scheduled = true, running = true, retrying = true, sleeping = true, waiting = true }
local OVER = { completed = true, failed = true, cancelled = true }

-- Settings of the store that a script gets in its head; one that frees tasks needs the first.
local REDISPATCH, RETENTION = nil, 0

-- The unit of work.
local THIS = KEYS[2] and sub(KEYS[2], #BASE + 5) -- the id of the run in KEYS[2]

local ID, PACKED, RUN, OPEN, DONE, HELD, VALUES, STATE, EVENTS, OTHERS
local run     -- the run's head, or nil
local seen    -- address → task, everything read or made
local touched -- tasks to be written, in order
local events  -- JSON texts to be appended
local ready   -- address, queue, … of tasks that became free
local timed   -- the same of new tasks that will, when their time has come
local BY      -- address of the task whose transition this is
local CLAIM   -- {owner, lease, queue} while a task may be claimed in place
local NEXT    -- the task that was

-- Two strings as one, for members of an index: the first may hold any character.
local function pack(first, second)
  return #first .. ':' .. first .. second
end

local function unpacked(member)
  local colon = find(member, ':', 1, true)
  local cut = colon + tonumber(sub(member, 1, colon - 1))
  return sub(member, colon + 1, cut), sub(member, cut + 1)
end

-- Redis takes as many arguments as Lua's stack holds: long lists go in pieces (an even number, for pairs).
local function many(command, key, list)
  local n = #list
  if n <= 4000 then return call(command, key, unpack(list)) end
  local last
  for i = 1, n, 4000 do last = call(command, key, unpack(list, i, math.min(i + 3999, n))) end
  return last
end

local function number(text)
  if text == '' then return nil end
  return tonumber(text)
end

-- Starts a unit of work on a run. Returns whether there is such a run.
local function use(id)
  ID, PACKED = id, #id .. ':' .. id
  RUN, OPEN, DONE = BASE .. 'run:' .. id, BASE .. 'open:' .. id, BASE .. 'done:' .. id
  VALUES, STATE, EVENTS = BASE .. 'values:' .. id, BASE .. 'state:' .. id, BASE .. 'events:' .. id
  HELD = BASE .. 'held:' .. id     -- set: the addresses of all held tasks
  OTHERS = BASE .. 'others:' .. id -- set: the keys below, which come and go
  seen, touched, events, ready, timed = {}, {}, {}, {}, {}
  BY, CLAIM, NEXT = nil, nil, nil
  local h = call('HMGET', RUN, 'status', 'active', 'timed', 'suspended', 'tasks', 'started', 'expires')
  if not h[1] then
    run = nil
    return false
  end
  for i = 2, 5 do h[i] = tonumber(h[i]) end
  run = {
    status = h[1], active = h[2], timed = h[3], suspended = h[4], tasks = h[5], was = h,
    started = h[6], expires = tonumber(h[7]), seq = false, ended = false,
  }
  return true
end

local function line_key(join) return BASE .. 'line:' .. PACKED .. ':' .. join end
local function slots_key(join) return BASE .. 'slots:' .. PACKED .. ':' .. join end
local function mail_key(event) return BASE .. 'mail:' .. PACKED .. ':' .. event end
local function ears_key(event) return BASE .. 'ears:' .. PACKED .. ':' .. event end

local function event(type, address, data)
  events[#events + 1] = '[' .. NOW_TEXT .. ',"' .. type .. '",' .. (address and encode(address) or 'null')
    .. ',' .. (data or '{}') .. ']'
end

-- A value of a task: 'i'nput, 'o'utput (there when the task is completed, and only then), 'x' (the output of one that
-- failed), 'e'rror, 'p'ayload, 'd'ata, 'c'hildren; without an address one of the run: 'I', 'O', 'E', 'M'etadata.
local function value(kind, address, json)
  call('HSET', VALUES, kind .. address, json)
end

-- A task as it is in the store. All fields are named at once: a table that grows is copied.
local function known(address, m)
  return {
    address = address, m = m, old = m[STATUS], -- the status that the store has
    new = false, touched = false, wake = false, text = false, place = false, input = false, data = false,
  }
end

-- The task of that address, or nil.
local function get(address)
  local t = seen[address]
  if t then return t end
  local text = call('HGET', OPEN, address) or call('HGET', DONE, address)
  if not text then return nil end
  local m = decode(text)
  t = known(address, m)
  seen[address] = t
  return t
end

-- Whether there is a record of that address; a held task has none yet.
local function exists(address)
  return seen[address] or call('HEXISTS', OPEN, address) == 1 or call('HEXISTS', DONE, address) == 1
end

local function is_held(address)
  return call('SISMEMBER', HELD, address) == 1
end

local function member(t) return PACKED .. t.address end

local function touch(t)
  if not t.touched then
    t.touched = true
    touched[#touched + 1] = t
  end
end

-- Sets a task's status and `wake_at` (nil: none).
local function status(t, new, wake)
  local m = t.m
  local before, after = COUNTED[m[STATUS]], COUNTED[new]
  if before then run[before] = run[before] - 1 end
  if after then run[after] = run[after] + 1 end
  m[STATUS] = new
  t.wake = wake
  if new ~= 'running' then m[OWNER] = '' end
  if OVER[new] then m[FINISHED] = NOW_TEXT end
  touch(t)
end

-- When a SCHEDULED task is handed out again, unless it is claimed before.
local function again_at(t)
  return NOW + REDISPATCH * 2 ^ math.min(t.m[DISPATCHES], 5)
end

-- Makes a task SCHEDULED, or claims it in place.
local function free(t, type)
  local m = t.m
  if m[KIND] == 'step' then event(type or 'task.scheduled', t.address) end
  m[PARENT] = BY or m[PARENT]
  if CLAIM and m[QUEUE] == CLAIM.queue then
    m[ATTEMPT] = m[ATTEMPT] + 1
    m[OWNER] = CLAIM.owner
    m[STARTED] = NOW_TEXT
    status(t, 'running', NOW + CLAIM.lease)
    NEXT, CLAIM = t, nil
  else
    status(t, 'scheduled', again_at(t))
    ready[#ready + 1] = t.address
    ready[#ready + 1] = m[QUEUE]
  end
end

-- Every key of the run.
local function keys_of_run()
  local keys = call('SMEMBERS', OTHERS)
  for _, key in ipairs({ RUN, OPEN, DONE, HELD, VALUES, STATE, EVENTS, OTHERS }) do keys[#keys + 1] = key end
  return keys
end

-- Writes a touched task, and what is derived from it.
local function write(t)
  local m, old, address = t.m, t.old, t.address
  local now, name, text = m[STATUS], PACKED .. address, encode(m)
  t.text = text
  if OVER[now] then
    call('HSET', DONE, address, text)
    if old and not OVER[old] then call('HDEL', OPEN, address) end
  else
    call('HSET', OPEN, address, text)
    if old and OVER[old] then call('HDEL', DONE, address) end
  end
  if t.wake then
    call('ZADD', DUE, t.wake, name)
  elseif TIMED[old] then
    call('ZREM', DUE, name)
  end
  if now == 'running' then
    call('HSET', LEASES, name, m[ATTEMPT] .. ':' .. m[OWNER])
  elseif old == 'running' then
    call('HDEL', LEASES, name)
  elseif old == 'waiting' and now ~= 'waiting' and m[EVENT] ~= '' then
    call('LREM', ears_key(m[EVENT]), 1, address)
  end
end

-- Ends the unit of work: writes it all, and tells those who watch the run.
local function flush()
  if NEXT and NEXT.m[KIND] == 'step' then
    event('task.started', NEXT.address, '{"attempt":' .. NEXT.m[ATTEMPT] .. '}')
  end
  if run.status ~= 'pending' and not OVER[run.status] then
    if run.active > 0 then
      run.status = 'running'
    elseif run.timed > 0 then
      run.status = 'waiting'
    elseif run.suspended > 0 and run.status ~= 'suspended' then
      run.status = 'suspended'
      event('run.suspended')
    end
  end
  for i = 1, #touched do write(touched[i]) end
  local was = run.was
  if run.status ~= was[1] then call('HSET', RUN, 'status', run.status) end
  if run.active ~= was[2] or run.timed ~= was[3] or run.suspended ~= was[4] or run.tasks ~= was[5] then
    call('HSET', RUN, 'active', run.active, 'timed', run.timed, 'suspended', run.suspended,
      'tasks', run.tasks)
  end
  if #events > 0 then
    run.seq = many('RPUSH', EVENTS, events)
    call('PUBLISH', EVENTS, run.seq)
  end
  if run.active == 0 and (OVER[run.status] or run.status == 'suspended') then
    call('PUBLISH', BASE .. 'rest:' .. ID, run.seq or call('LLEN', EVENTS))
  end
  if run.expires then
    for _, key in ipairs(keys_of_run()) do call('PEXPIREAT', key, format('%.0f', run.expires)) end
  end
end
