-- Makes a suspended task SCHEDULED, with data.
-- Twin of drawbar.stores.control.resume.
--
-- Head: [address, redispatch]; then the data. Reply: [1, [ready]], or [0, the task's status or ''] when the task is not
-- suspended; nothing if there is no such run.
local address, redispatch = unpack(decode(ARGV[1]))
if not begin(TARGET_RUN) then return {} end
REDISPATCH = redispatch
local task = find_task(address)
if not task or task.record[STATUS] ~= 'suspended' then return { 0, task and task.record[STATUS] or '' } end
keep_value('d', task.address, ARGV[2])
local full = rise(task.record[FAN], AT_REST)
if full then
  event('task.resumed', address)
  queue_for(task, full.address)
else
  free(task, 'task.resumed')
end
close()
return { 1, ready }
