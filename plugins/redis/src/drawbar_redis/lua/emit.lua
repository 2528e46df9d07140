-- Appends events that are no outcome.
--
-- The events, without their time. Reply: [newest event]; nothing for no such run.
if not use(THIS) then return {} end
for i = 1, #ARGV do events[i] = '[' .. NOW_TEXT .. ',' .. ARGV[i] end
if #events == 0 then return { call('LLEN', EVENTS) } end
local newest = many('RPUSH', EVENTS, events)
call('PUBLISH', EVENTS, newest)
return { newest }
