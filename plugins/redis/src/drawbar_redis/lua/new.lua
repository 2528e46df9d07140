-- Part of the library: creating tasks, and freeing the held ones.

-- A new record; it gets its status from `status`.
local function make(n, address, kind, queue, fan)
  local t = known(address, {
    n, kind, '', 0, 0, 0, queue, fan, BY or '', '', '', '', '', 0, 0, 0, 0, '', '', '',
  })
  t.old, t.new = false, true
  seen[address] = t
  return t
end

-- Keeps the output of a task that is over.
local function put_out(new, address, output)
  if new == 'completed' then
    value('o', address, output == '' and 'null' or output)
  elseif output ~= '' then
    value('x', address, output)
  end
end

local function count()
  run.tasks = run.tasks + 1
  return run.tasks
end

-- A task WAITING for an event takes the oldest one that is kept, else it listens.
local function listen(t)
  local m = t.m
  local name = m[EVENT]
  local payload = name ~= '' and call('LPOP', mail_key(name))
  if payload then
    t.data = payload
    value('d', t.address, payload)
    free(t)
    return
  end
  local delay = number(m[DELAY])
  status(t, 'waiting', delay and NOW + delay)
  if name ~= '' then
    call('RPUSH', ears_key(name), t.address)
    call('SADD', OTHERS, ears_key(name))
  end
end

-- Creates a task from an item: a line of JSON [address, kind, queue, fan, and where it is not simply
-- SCHEDULED status, delay, until, event, length of input, length of output], then its input, output and
-- error. `place` is its place among the transition's new tasks, for the caller to find the input again
-- without having it sent back.
local function add(item, join, place)
  local cut = find(item, '\n', 1, true)
  local h = decode(sub(item, 1, cut - 1))
  local address, new = h[1], h[5] or 'scheduled'
  if exists(address) or is_held(address) then return end
  local t = make(count(), address, h[2], h[3], h[4] == 1 and join or h[4])
  t.place = place
  local input = sub(item, cut + 1)
  if h[9] then
    local rest = sub(input, h[9] + 1)
    input = sub(input, 1, h[9])
    local output, failure = sub(rest, 1, h[10]), sub(rest, h[10] + 1)
    put_out(new, address, output)
    if failure ~= '' then value('e', address, failure) end
  end
  if input ~= '' then
    value('i', address, input)
    if not place then t.input = input end
  end
  if new == 'scheduled' then
    free(t)
  elseif new == 'sleeping' or new == 'waiting' then
    local m, delay, till = t.m, h[6], h[7]
    m[EVENT] = h[8]
    if till then delay = till - NOW end
    if delay then m[DELAY] = format('%.17g', delay) end
    if new == 'waiting' then listen(t) else status(t, new, till or NOW + (delay or 0)) end
    if COUNTED[m[STATUS]] == 'timed' then -- an event may have been there
      timed[#timed + 1] = address
      timed[#timed + 1] = m[QUEUE]
    end
  else
    status(t, new)
  end
end

-- Frees the first held task of a join.
local function pull(join)
  local j = get(join)
  local key = line_key(join)
  while j do
    local item = call('LPOP', key)
    if not item then return end
    local cut = find(item, '\n', 1, true)
    local h = decode(sub(item, 1, cut - 1))
    call('SREM', HELD, h[1])
    if not exists(h[1]) then
      -- Held tasks are numbered without being counted one by one: from the end of the list.
      local t = make(j.m[LAST] - call('LLEN', key), h[1], h[2], h[3], join)
      t.input = sub(item, cut + 1)
      if t.input ~= '' then value('i', h[1], t.input) end
      free(t)
      return
    end
  end
end
