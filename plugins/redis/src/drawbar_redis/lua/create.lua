-- Creates a run and its first tasks, or gives back the run that has the id.
--
-- Head: [workflow, fingerprint, forked from, redispatch, number of state pairs]. Then input, metadata, state
-- pairs, items. Reply: [created, run].
local h = decode(ARGV[1])
if use(THIS) then return { 0, reply_run() } end
REDISPATCH = h[4]
run = { status = 'pending', active = 0, timed = 0, suspended = 0, tasks = 0, was = {} }
call('HSET', RUN, 'workflow', h[1], 'fingerprint', h[2], 'forked', h[3], 'created', NOW_TEXT)
call('ZADD', RUNS, NOW, ID)
call('ZADD', BASE .. 'runs-of:' .. h[1], NOW, ID)
if ARGV[2] ~= '' then value('I', '', ARGV[2]) end
if ARGV[3] ~= '' then value('M', '', ARGV[3]) end
local first = 4 + 2 * h[5]
local state = {}
for i = 4, first - 1 do state[#state + 1] = ARGV[i] end
if h[5] > 0 then many('HSET', STATE, state) end
event('run.started')
for i = first, #ARGV do add(ARGV[i]) end
flush()
return { 1, { call('HGETALL', RUN), run.seq } }
