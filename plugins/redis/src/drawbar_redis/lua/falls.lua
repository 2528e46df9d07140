-- Part of the library: slots of fan-outs begin to wait, and pass their places on.

-- Gives a place of a join that has become free to what waits for one there.
-- Twin of drawbar.stores.places.Places._pass_on, with drawbar.stores.rows.Rows.resumed.
local function pass_on(join)
  local record = join.record
  if (record[PLACES] or 0) > 0 and record[SUSPENDED_SLOTS] > 0 then
    local key, has_place = turns_key(join.address), true
    while true do
      local address = call('LINDEX', key, 0)
      if not address then break end
      local task = find_task(address)
      if task and task.record[STATUS] == 'resumed' and task.record[WAITS_AT] == join.address then
        -- A task whose slot has a place by now, because another task of it was resumed too, needs none.
        local suspended = record[SUSPENDED_SLOTS]
        local full = rise(task.record[FAN], AT_REST, join, has_place)
        if full == join then return end
        call('LPOP', key)
        if full then queue_for(task, full.address) else free(task) end
        has_place = has_place and record[SUSPENDED_SLOTS] == suspended
      else
        call('LPOP', key) -- it was cancelled
      end
    end
    if not has_place then return end
  end
  pull(join.address)
end

-- Notes that an active slot begins to wait. A place that it gives up goes to another slot.
-- Twin of drawbar.stores.places.Places.fall.
local function fall(fan, to)
  local join = find_join(fan)
  while join do
    count_slots(join, to, 1)
    if to == AT_REST or join.record[PLACES] == 0 then pass_on(join) end
    to = level(join)
    if to == ACTIVE then return end
    join = find_join(join.record[FAN])
  end
end

-- Notes that an active slot has arrived at a join where others wait. Its place goes to another slot.
-- Twin of drawbar.stores.places.Places.arrive.
local function pass_on_and_fall(join)
  pass_on(join)
  local to = level(join)
  if to ~= ACTIVE then fall(join.record[FAN], to) end
end
