-- Starts a failed run again.
-- Twin of drawbar.stores.control.retry.
--
-- Head: [redispatch]. Reply: [1, [ready]], or [0, status] when the run has not failed; nothing if there is no such run.
local redispatch = unpack(decode(ARGV[1]))
if not begin(TARGET_RUN) then return {} end
if run.status ~= 'failed' then return { 0, run.status } end
REDISPATCH = redispatch
local emptied = {}
for _, task in ipairs(among(DONE_KEY, { failed = true, cancelled = true })) do
  local record = task.record
  local kind, was = record[KIND], record[WAS]
  if kind ~= 'callback' and kind ~= 'memo' and (record[STATUS] == 'failed' or was ~= '') then
    local wake_at = record[KEPT_WAKE_AT]
    record[WAS], record[KEPT_WAKE_AT], record[FINISHED] = '', '', ''
    record[FAILURES], record[LOST], record[DISPATCHES] = 0, 0, 0
    call('HDEL', VALUES_KEY, 'e' .. task.address)
    if was == 'suspended' then
      set_status(task, was)
    elseif was == 'sleeping' then
      set_status(task, was, number(wake_at) or NOW)
    elseif was == 'resumed' then
      local join = record[WAITS_AT]
      if not emptied[join] then call('DEL', turns_key(join)) end
      emptied[join] = true
      queue_for(task, join)
    elseif was == 'waiting' or kind == 'event' and was == '' then
      call('HDEL', VALUES_KEY, 'd' .. task.address)
      wait_for_event(task)
      local waits = record[STATUS] == 'waiting'
      if was == '' and waits then
        fall(record[FAN], TIMED)
      elseif was ~= '' and not waits then
        rise(record[FAN], TIMED)
      end
    else
      free(task)
    end
  end
end
local callback = find_task(END)
if callback and IS_FINISHED[callback.record[STATUS]] then
  -- Twin of drawbar.stores.rows.Rows.forget.
  call('HDEL', DONE_KEY, END)
  call('HDEL', VALUES_KEY, 'i' .. END, 'o' .. END, 'e' .. END, 'c' .. END)
end
run.status = 'running'
call('HDEL', RUN_KEY, 'finished', 'expires')
call('HDEL', VALUES_KEY, 'O', 'E')
call('ZREM', ENDED_KEY, pack_pair(RUN_ID, call('HGET', RUN_KEY, 'workflow')))
if run.expires then
  run.expires = nil
  for _, key in ipairs(keys_of_run()) do call('PERSIST', key) end
end
close()
return { 1, ready }
