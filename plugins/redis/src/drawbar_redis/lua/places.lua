-- Part of the library: the places of fan-outs. drawbar.stores.places explains them.

-- The levels of a slot.
local AT_REST, TIMED, ACTIVE = 0, 1, 2

-- Returns the key of the addresses of the resumed tasks that wait for a place of a join (list).
-- No twin: a key of Redis.
local function turns_key(join) return PREFIX .. 'turns:' .. MEMBER_PREFIX .. ':' .. join end

-- Returns the join of that address, or nil if it collects no slots (any more).
-- Twin of drawbar.stores.places.Places._join.
local function find_join(address)
  local join = address ~= '' and find_task(address)
  return join and join.record[STATUS] == 'joining' and join or nil
end

-- Returns the level of a join whose slots have not all arrived.
-- Twin of drawbar.stores.places.level.
local function level(join)
  local record = join.record
  local places, timed, suspended = record[PLACES] or 0, record[TIMED_SLOTS] or 0, record[SUSPENDED_SLOTS] or 0
  if record[REMAINING] > timed + suspended and (places == 0 or timed < places) then return ACTIVE end
  return timed > 0 and TIMED or AT_REST
end

-- Returns true if a join has a limit, and all its places are in use.
-- Twin of drawbar.stores.places.is_full.
local function is_full(join)
  local record = join.record
  local places = record[PLACES] or 0
  return places > 0 and places <= record[REMAINING] - (record[SUSPENDED_SLOTS] or 0)
end

-- Changes the number of a join's slots of a level. The record of an old join has no places yet.
-- No twin: Python sets the attributes of the join.
local function count_slots(join, of, by)
  local record = join.record
  for i = PLACES, SUSPENDED_SLOTS do record[i] = record[i] or 0 end
  local place = of == TIMED and TIMED_SLOTS or SUSPENDED_SLOTS
  record[place] = math.max(0, record[place] + by)
  mark_changed(join)
end

-- Notes that a slot that waits becomes active, and returns nothing. If it gets no place somewhere around it, nothing
-- is noted, and the innermost join that has none is returned. `freed` is the join at which to stop. `has_place` is true
-- if that one has a free place, whatever its counters say.
-- Twin of drawbar.stores.places.Places.rise.
local function rise(fan, before, freed, has_place)
  local path = {}
  local join = find_join(fan)
  while join do
    if before == AT_REST and is_full(join) and not (has_place and join == freed) then return join end
    path[#path + 1] = { join, before }
    before = level(join)
    if before == ACTIVE or join == freed then break end
    join = find_join(join.record[FAN])
  end
  for _, pair in ipairs(path) do count_slots(pair[1], pair[2], -1) end
end

-- Lets a task wait for a place of a join, after those that wait for one there already.
-- Twin of drawbar.stores.places.Places.queue.
local function queue_for(task, join)
  local record = task.record
  for i = PLACES, SUSPENDED_SLOTS do record[i] = 0 end
  record[WAITS_AT], record[TURN] = join, call('LLEN', EVENTS_KEY) + #events
  set_status(task, 'resumed')
  call('RPUSH', turns_key(join), task.address)
  call('SADD', EXTRA_KEY, turns_key(join))
end
