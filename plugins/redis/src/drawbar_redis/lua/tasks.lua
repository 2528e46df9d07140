-- The tasks of a run, all or those in some statuses.
--
-- Head: [status, …], empty for all. Reply: [unfinished: address, record, wake_at, …], [finished: address,
-- record, …], [values: field, value, …], [held: join, address and status of the last number, items], …
local wanted, some = {}, false
for _, name in ipairs(decode(ARGV[1])) do
  wanted[name], some = true, true
end
if not use(THIS) then return {} end
local open, done, fields, reply = {}, {}, {}, {}

-- A record's status without decoding it: the third of the array, and the first two hold no comma.
local function is_wanted(record)
  return not some or wanted[string.match(record, '^%[%d+,"%a+","(%a+)"')]
end

local function keep(list, address, record)
  list[#list + 1] = address
  list[#list + 1] = record
  if some then
    for kind in string.gmatch('ioxepd', '%a') do fields[#fields + 1] = kind .. address end
  end
end

local joins = {}
local all = call('HGETALL', OPEN)
for i = 1, #all, 2 do
  local address, record = all[i], all[i + 1]
  if is_wanted(record) then
    keep(open, address, record)
    open[#open + 1] = call('ZSCORE', DUE, PACKED .. address) or ''
  end
  if find(record, '"join"', 1, true) then joins[#joins + 1] = decode(record)[LAST] .. ' ' .. address end
end
all = call('HGETALL', DONE)
for i = 1, #all, 2 do
  local address, record = all[i], all[i + 1]
  if is_wanted(record) then keep(done, address, record) end
  if find(record, '"join","cancelled"', 1, true) then
    joins[#joins + 1] = decode(record)[LAST] .. ' ' .. address
  end
end
local found = {}
if some then
  for i = 1, #fields, 1000 do
    local got = call('HMGET', VALUES, unpack(fields, i, math.min(i + 999, #fields)))
    for k = 1, #got do
      if got[k] then
        found[#found + 1] = fields[i + k - 1]
        found[#found + 1] = got[k]
      end
    end
  end
else
  found = call('HGETALL', VALUES)
end
reply = { open, done, found }
if not some or wanted.held then
  for _, join in ipairs(joins) do
    local last, address = string.match(join, '^(%d+) (.*)$')
    local items = call('LRANGE', line_key(address), 0, -1)
    if #items > 0 then
      reply[#reply + 1] = { address, last, call('HGET', OPEN, address) or call('HGET', DONE, address), items }
    end
  end
end
return reply
