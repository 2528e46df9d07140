-- Part of the library: it cancels tasks, and ends runs.

-- Returns the tasks in some statuses, in the order of their creation. `key` is OPEN_KEY or DONE_KEY. With `prefix`,
-- only tasks whose address starts with it.
-- Twin of drawbar.stores.rows.Rows.among.
local function among(key, statuses, prefix)
  local found = {}
  local all = call('HGETALL', key)
  for i = 1, #all, 2 do
    local address = all[i]
    if not prefix or sub(address, 1, #prefix) == prefix then
      local task = seen[address]
      if not task then
        local record = decode(all[i + 1])
        task = task_table(address, record)
      end
      if statuses[task.record[STATUS]] then
        seen[address] = task
        found[#found + 1] = task
      end
    end
  end
  table.sort(found, function(a, b) return a.record[NUMBER] < b.record[NUMBER] end)
  return found
end

-- Cancels a task. With `keep`, a retry of the run goes on with the task.
-- Twin of drawbar.stores.change.Change.cancel.
local function cancel(task, keep)
  local record = task.record
  record[WAS] = keep and record[STATUS] or ''
  record[KEPT_WAKE_AT] = HAS_WAKE_AT[record[STATUS]] and call('ZSCORE', DUE_KEY, member(task)) or ''
  set_status(task, 'cancelled')
  if record[KIND] == 'step' then event('task.cancelled', task.address) end
end

-- Ends the run.
-- Twin of drawbar.stores.change.Change.finish.
local function finish(status, output, failure, data)
  if run.active + run.timed + run.suspended > 0 then
    for _, task in ipairs(among(OPEN_KEY, COUNTED)) do cancel(task, true) end
  end
  run.status = status
  run.ended = true
  if output ~= '' then keep_value('O', '', output) end
  if failure ~= '' then keep_value('E', '', failure) end
  if status == 'failed' then data = '{"error":' .. (failure ~= '' and failure or 'null') .. '}' end
  event('run.' .. status, nil, data ~= '' and data)
  call('HSET', RUN_KEY, 'finished', NOW_TEXT)
  call('ZADD', ENDED_KEY, NOW, pack_pair(RUN_ID, call('HGET', RUN_KEY, 'workflow')))
  if RETENTION > 0 then
    run.expires = math.floor((NOW + RETENTION) * 1000)
    call('HSET', RUN_KEY, 'expires', format('%.0f', run.expires))
  end
end
