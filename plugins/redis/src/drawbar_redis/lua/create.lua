-- Creates a run and its first tasks, or returns the run that has the id.
-- Twin of drawbar.stores.transitions.create.
--
-- Head: [workflow, fingerprint, forked from, redispatch, number of state pairs]. Then input, metadata, state
-- pairs, texts of tasks. Reply: [created, run].
local head = decode(ARGV[1])
if begin(TARGET_RUN) then return { 0, reply_run() } end
REDISPATCH = head[4]
run = { status = 'pending', active = 0, timed = 0, suspended = 0, tasks = 0, stored = {} }
call('HSET', RUN_KEY, 'workflow', head[1], 'fingerprint', head[2], 'forked', head[3], 'created', NOW_TEXT)
call('ZADD', RUNS_KEY, NOW, RUN_ID)
call('ZADD', PREFIX .. 'runs-of:' .. head[1], NOW, RUN_ID)
if ARGV[2] ~= '' then keep_value('I', '', ARGV[2]) end
if ARGV[3] ~= '' then keep_value('M', '', ARGV[3]) end
local first = 4 + 2 * head[5]
local state = {}
for i = 4, first - 1 do state[#state + 1] = ARGV[i] end
if head[5] > 0 then call_in_chunks('HSET', STATE_KEY, state) end
event('run.started')
for i = first, #ARGV do add(ARGV[i]) end
close()
return { 1, { call('HGETALL', RUN_KEY), run.seq } }
