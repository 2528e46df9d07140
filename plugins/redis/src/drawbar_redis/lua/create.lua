-- Creates a run and its first tasks, or returns the run that has the id.
-- Twin of drawbar.stores.transitions.create.
--
-- Head: [workflow, fingerprint, forked from, redispatch, number of state pairs, number of tasks, joins to open]; a join
-- is [join, total, window, tasks, fan, places, timed, suspended]. Then input, metadata, state pairs, texts of tasks,
-- the arguments of each join (see `fan_out`). Reply: [created, run].
local workflow, fingerprint, forked_from, redispatch, state_pairs, tasks, joins = unpack(decode(ARGV[1]))
if begin(TARGET_RUN) then return { 0, reply_run() } end
REDISPATCH = redispatch
DUE_KEY = due_key(fingerprint)
call('SADD', PLANS_KEY, fingerprint)
run = { status = 'pending', active = 0, timed = 0, suspended = 0, tasks = 0, stored = {} }
call('HSET', RUN_KEY, 'workflow', workflow, 'fingerprint', fingerprint, 'forked', forked_from, 'created', NOW_TEXT)
call('ZADD', RUNS_KEY, NOW, RUN_ID)
call('ZADD', PREFIX .. 'runs-of:' .. workflow, NOW, RUN_ID)
if ARGV[2] ~= '' then keep_value('I', '', ARGV[2]) end
if ARGV[3] ~= '' then keep_value('M', '', ARGV[3]) end
local first = 4 + 2 * state_pairs
local state = {}
for i = 4, first - 1 do state[#state + 1] = ARGV[i] end
if state_pairs > 0 then call_in_chunks('HSET', STATE_KEY, state) end
event('run.started')
local at = first + tasks - 1
for i = first, at do add(ARGV[i]) end
for _, join in ipairs(joins) do at = fan_out(at, unpack(join)) end
close()
return { 1, { call('HGETALL', RUN_KEY), run.seq } }
