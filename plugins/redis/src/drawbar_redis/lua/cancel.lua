-- Ends a run as cancelled.
-- Twin of drawbar.stores.control.cancel.
--
-- Head: [callback, redispatch, retention]; then error, event data, the text of the callback task.
-- Reply: [1, [ready]], or [0] when the run had ended before; nothing if there is no such run.
local callback, redispatch, retention = unpack(decode(ARGV[1]))
if not begin(TARGET_RUN) then return {} end
if IS_FINISHED[run.status] then return { 0 } end
REDISPATCH, RETENTION = redispatch, retention
finish('cancelled', '', ARGV[2], ARGV[3])
if callback then add(ARGV[4]) end
close()
return { 1, ready }
