-- Appends events that are not the outcome of a task.
-- Twin of drawbar.stores.control.emit.
--
-- Arguments: the events, without their time. Reply: [number of the newest event]; nothing if there is no such run.
if not begin(TARGET_RUN) then return {} end
for i = 1, #ARGV do events[i] = '[' .. NOW_TEXT .. ',' .. ARGV[i] end
if #events == 0 then return { call('LLEN', EVENTS_KEY) } end
local newest = call_in_chunks('RPUSH', EVENTS_KEY, events)
call('PUBLISH', EVENTS_KEY, newest)
return { newest }
