-- Part of the library: cancelling tasks, and ending runs.

-- The tasks in those statuses (of the unfinished, or else of the finished ones) whose address starts with
-- `prefix`, in the order of their creation.
local function among(key, statuses, prefix)
  local found = {}
  local all = call('HGETALL', key)
  for i = 1, #all, 2 do
    local address = all[i]
    if not prefix or sub(address, 1, #prefix) == prefix then
      local t = seen[address]
      if not t then
        local m = decode(all[i + 1])
        t = known(address, m)
      end
      if statuses[t.m[STATUS]] then
        seen[address] = t
        found[#found + 1] = t
      end
    end
  end
  table.sort(found, function(a, b) return a.m[NUMBER] < b.m[NUMBER] end)
  return found
end

-- Cancels a task; `keep`: so that a retry of the run takes it up again.
local function cancel(t, keep)
  local m = t.m
  m[WAS] = keep and m[STATUS] or ''
  m[WAKE] = TIMED[m[STATUS]] and call('ZSCORE', DUE, member(t)) or ''
  status(t, 'cancelled')
  if m[KIND] == 'step' then event('task.cancelled', t.address) end
end

-- Ends the run.
local function finish(new, output, failure, data)
  if run.active + run.timed + run.suspended > 0 then
    for _, t in ipairs(among(OPEN, COUNTED)) do cancel(t, true) end
  end
  run.status = new
  run.ended = true
  if output ~= '' then value('O', '', output) end
  if failure ~= '' then value('E', '', failure) end
  if new == 'failed' then data = '{"error":' .. (failure ~= '' and failure or 'null') .. '}' end
  event('run.' .. new, nil, data ~= '' and data)
  call('HSET', RUN, 'finished', NOW_TEXT)
  call('ZADD', ENDED, NOW, pack(ID, call('HGET', RUN, 'workflow')))
  if RETENTION > 0 then
    run.expires = math.floor((NOW + RETENTION) * 1000)
    call('HSET', RUN, 'expires', format('%.0f', run.expires))
  end
end
