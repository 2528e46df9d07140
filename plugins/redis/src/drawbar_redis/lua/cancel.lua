-- Ends a run as cancelled.
--
-- Head: [callback, redispatch, retention]; then error, event data, the item of the callback task.
-- Reply: [1, [ready]], or [0] when it had ended before; nothing for no such run.
local h = decode(ARGV[1])
if not use(THIS) then return {} end
if OVER[run.status] then return { 0 } end
REDISPATCH, RETENTION = h[2], h[3]
finish('cancelled', '', ARGV[2], ARGV[3])
if h[1] then add(ARGV[4]) end
flush()
return { 1, ready }
