-- Sets a failed run going again.
--
-- Head: [redispatch]. Reply: [1, [ready]], or [0, status] when it has not failed; nothing for no such run.
local h = decode(ARGV[1])
if not use(THIS) then return {} end
if run.status ~= 'failed' then return { 0, run.status } end
REDISPATCH = h[1]
for _, t in ipairs(among(DONE, { failed = true, cancelled = true })) do
  local m = t.m
  local kind, was = m[KIND], m[WAS]
  if kind ~= 'callback' and kind ~= 'memo' and (m[STATUS] == 'failed' or was ~= '') then
    local wake = m[WAKE]
    m[WAS], m[WAKE], m[FINISHED], m[FAILURES], m[LOST], m[DISPATCHES] = '', '', '', 0, 0, 0
    call('HDEL', VALUES, 'e' .. t.address)
    if was == 'suspended' then
      status(t, was)
    elseif was == 'sleeping' then
      status(t, was, number(wake) or NOW)
    elseif was == 'waiting' or kind == 'event' and was == '' then
      call('HDEL', VALUES, 'd' .. t.address)
      listen(t)
    else
      free(t)
    end
  end
end
local ended = get('$end')
if ended and OVER[ended.m[STATUS]] then
  call('HDEL', DONE, '$end')
  call('HDEL', VALUES, 'i$end', 'o$end', 'e$end', 'c$end')
end
run.status = 'running'
call('HDEL', RUN, 'finished', 'expires')
call('HDEL', VALUES, 'O', 'E')
call('ZREM', ENDED, pack(ID, call('HGET', RUN, 'workflow')))
if run.expires then
  run.expires = nil
  for _, key in ipairs(keys_of_run()) do call('PERSIST', key) end
end
flush()
return { 1, ready }
