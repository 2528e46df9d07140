-- Frees a suspended task with the data that came for it.
--
-- Head: [address, redispatch]; then the data. Reply: [1, [ready]], or [0, what it is instead]; nothing for no
-- such run.
local h = decode(ARGV[1])
if not use(THIS) then return {} end
REDISPATCH = h[2]
local t = get(h[1])
if not t or t.m[STATUS] ~= 'suspended' then return { 0, t and t.m[STATUS] or '' } end
value('d', t.address, ARGV[2])
free(t, 'task.resumed')
flush()
return { 1, ready }
