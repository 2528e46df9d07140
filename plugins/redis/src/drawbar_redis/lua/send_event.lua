-- Hands an event to the task that has waited longest for it, or keeps it.
-- Twin of drawbar.stores.control.send_event, with drawbar.stores.rows.Rows.listening and drawbar.stores.rows.Rows.post.
--
-- Head: [name, redispatch]; then the payload. Reply: [1, [ready]], or [0, status] when the run has ended; nothing if
-- there is no such run.
local name, redispatch = unpack(decode(ARGV[1]))
if not begin(TARGET_RUN) then return {} end
if IS_FINISHED[run.status] then return { 0, run.status } end
REDISPATCH = redispatch
while true do
  local address = call('LPOP', waiting_tasks_key(name))
  if not address then break end
  local task = find_task(address)
  if task and task.record[STATUS] == 'waiting' and task.record[EVENT] == name then
    keep_value('d', address, ARGV[2])
    rise(task.record[FAN], TIMED)
    free(task)
    close()
    return { 1, ready }
  end
end
call('RPUSH', kept_events_key(name), ARGV[2])
call('SADD', EXTRA_KEY, kept_events_key(name))
return { 1, {} }
