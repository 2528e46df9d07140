-- Part of the library: it makes the replies that Python reads (drawbar_redis.replies).

-- Returns a task with its values: record, wake_at, address, place (with it, Python has the input), input, output,
-- error, payload, data.
-- Twin of drawbar.stores.rows.Rows.whole_task and of drawbar.stores.rows.Rows.fill_in.
local function reply_task(task)
  local text, wake_at = task.text, task.wake_at and format('%.17g', task.wake_at) or ''
  local address = task.address
  if task.new then
    return { text, wake_at, address, task.place or -1, task.input or false, false, false, false, task.data or false }
  end
  local values = call('HMGET', VALUES_KEY, 'i' .. address, 'x' .. address, 'e' .. address, 'p' .. address,
    'd' .. address)
  return { text, wake_at, address, -1, values[1], values[2], values[3], values[4], values[5] }
end

-- Returns the run: fields, number of the newest event, input, output, error, metadata, state, id.
-- Twin of drawbar.stores.rows.Rows.whole_run.
local function reply_run()
  local values = call('HMGET', VALUES_KEY, 'I', 'O', 'E', 'M')
  local seq = run.seq or call('LLEN', EVENTS_KEY)
  return {
    call('HGETALL', RUN_KEY), seq, values[1], values[2], values[3], values[4], call('HGETALL', STATE_KEY), RUN_ID,
  }
end
