-- Reads runs, newest first: up to `limit` runs in a status, among up to 1000 entries of an index.
-- Twin of drawbar.stores.base.Store.runs.
--
-- Head: [offset, limit, workflow, status], with false for any. Reply: [next offset, or -1 at the end, run, …].
local offset, limit, workflow, wanted = unpack(decode(ARGV[1]))
local index = workflow and PREFIX .. 'runs-of:' .. workflow or RUNS_KEY
local ids = call('ZREVRANGE', index, offset, offset + 999)
local reply = { -1 }
for _, id in ipairs(ids) do
  if #reply > limit then
    reply[1] = offset
    return reply
  end
  if not begin(id) then
    call('ZREM', index, id) -- the run has expired
  elseif workflow and call('HGET', RUN_KEY, 'workflow') ~= workflow then
    call('ZREM', index, id) -- the run has expired, and a run of another workflow has its id now
  else
    offset = offset + 1
    if not wanted or run.status == wanted then reply[#reply + 1] = reply_run() end
  end
end
if #ids == 1000 then reply[1] = offset end
return reply
