-- What goes back to Python.

-- A task with its values: record, wake_at, address, place (then its input is the caller's own), input,
-- output, error, payload, data.
local function reply_task(t)
  local text, wake = t.text, t.wake and format('%.17g', t.wake) or ''
  local a = t.address
  if t.new then
    return { text, wake, a, t.place or -1, t.input or false, false, false, false, t.data or false }
  end
  local v = call('HMGET', VALUES, 'i' .. a, 'x' .. a, 'e' .. a, 'p' .. a, 'd' .. a)
  return { text, wake, a, -1, v[1], v[2], v[3], v[4], v[5] }
end

-- The run: fields, newest event, input, output, error, metadata, state.
local function reply_run()
  local v = call('HMGET', VALUES, 'I', 'O', 'E', 'M')
  local seq = run.seq or call('LLEN', EVENTS)
  return { call('HGETALL', RUN), seq, v[1], v[2], v[3], v[4], call('HGETALL', STATE), ID }
end
