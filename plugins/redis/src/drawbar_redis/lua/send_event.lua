-- Hands an event to the task that has waited longest for it, or keeps it.
--
-- Head: [name, redispatch]; then the payload. Reply: [1, [ready]], or [0, status of the ended run]; nothing
-- for no such run.
local h = decode(ARGV[1])
if not use(THIS) then return {} end
if OVER[run.status] then return { 0, run.status } end
REDISPATCH = h[2]
local name = h[1]
while true do
  local address = call('LPOP', ears_key(name))
  if not address then break end
  local t = get(address)
  if t and t.m[STATUS] == 'waiting' and t.m[EVENT] == name then
    value('d', address, ARGV[2])
    free(t)
    flush()
    return { 1, ready }
  end
end
call('RPUSH', mail_key(name), ARGV[2])
call('SADD', OTHERS, mail_key(name))
return { 1, {} }
