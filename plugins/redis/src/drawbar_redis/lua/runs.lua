-- Runs, newest first: looks through up to 1000 entries of an index for up to `limit` runs in a status.
--
-- Head: [offset, limit, workflow, status], false for any. Reply: [next offset, or -1 at the end, run, …].
local h = decode(ARGV[1])
local offset, limit, workflow, wanted = h[1], h[2], h[3], h[4]
local index = workflow and BASE .. 'runs-of:' .. workflow or RUNS
local ids = call('ZREVRANGE', index, offset, offset + 999)
local reply = { -1 }
for _, id in ipairs(ids) do
  if #reply > limit then
    reply[1] = offset
    return reply
  end
  if not use(id) then
    call('ZREM', index, id) -- expired
  elseif workflow and call('HGET', RUN, 'workflow') ~= workflow then
    call('ZREM', index, id) -- expired, and the id is another workflow's now
  else
    offset = offset + 1
    if not wanted or run.status == wanted then reply[#reply + 1] = reply_run() end
  end
end
if #ids == 1000 then reply[1] = offset end
return reply
