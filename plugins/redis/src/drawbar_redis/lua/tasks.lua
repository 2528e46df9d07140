-- Reads the tasks of a run, all or those in some statuses.
-- Twin of drawbar.stores.base.Store.tasks.
--
-- Head: [status, …], empty for all. Reply: [unfinished: address, record, wake_at, …], [finished: address,
-- record, …], [values: field, value, …], [held: join, place of its last task, its record, texts], …
local wanted, some = {}, false
for _, name in ipairs(decode(ARGV[1])) do
  wanted[name], some = true, true
end
if not begin(TARGET_RUN) then return {} end
local open, done, fields, reply = {}, {}, {}, {}

-- Returns true if the status in a record's text is wanted. The text is not decoded, which would take longer: the status
-- is the third in the array, and the first two have no comma.
-- No twin: other stores select by a column.
local function is_wanted(record)
  return not some or wanted[string.match(record, '^%[%d+,"%a+","(%a+)"')]
end

-- Adds a task to a list, and the fields of its values to those to read.
-- No twin: other stores read a task and its values as one row.
local function add_task(list, address, record)
  list[#list + 1] = address
  list[#list + 1] = record
  if some then
    for kind in string.gmatch('ioxepd', '%a') do fields[#fields + 1] = kind .. address end
  end
end

local joins = {}
local all = call('HGETALL', OPEN_KEY)
for i = 1, #all, 2 do
  local address, record = all[i], all[i + 1]
  if is_wanted(record) then
    add_task(open, address, record)
    open[#open + 1] = call('ZSCORE', DUE_KEY, MEMBER_PREFIX .. address) or ''
  end
  if find(record, '"join"', 1, true) then joins[#joins + 1] = decode(record)[LAST] .. ' ' .. address end
end
all = call('HGETALL', DONE_KEY)
for i = 1, #all, 2 do
  local address, record = all[i], all[i + 1]
  if is_wanted(record) then add_task(done, address, record) end
  if find(record, '"join","cancelled"', 1, true) then
    joins[#joins + 1] = decode(record)[LAST] .. ' ' .. address
  end
end
local found = {}
if some then
  for i = 1, #fields, 1000 do
    local values = call('HMGET', VALUES_KEY, unpack(fields, i, math.min(i + 999, #fields)))
    for k = 1, #values do
      if values[k] then
        found[#found + 1] = fields[i + k - 1]
        found[#found + 1] = values[k]
      end
    end
  end
else
  found = call('HGETALL', VALUES_KEY)
end
reply = { open, done, found }
if not some or wanted.held then
  for _, join in ipairs(joins) do
    local last, address = string.match(join, '^(%d+) (.*)$')
    local texts = call('LRANGE', held_tasks_key(address), 0, -1)
    if #texts > 0 then
      local record = call('HGET', OPEN_KEY, address) or call('HGET', DONE_KEY, address)
      reply[#reply + 1] = { address, last, record, texts }
    end
  end
end
return reply
