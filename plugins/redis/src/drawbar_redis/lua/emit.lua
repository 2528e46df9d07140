-- Appends events that are no outcome.
--
-- The events, without their time. Reply: whether there is such a run.
if not use(THIS) then return 0 end
for i = 1, #ARGV do events[i] = '[' .. NOW_TEXT .. ',' .. ARGV[i] end
if #events > 0 then call('PUBLISH', EVENTS, many('RPUSH', EVENTS, events)) end
return 1
