-- What `wait` looks at. Reply: [newest event, whether the run is at rest].
if not use(THIS) then return { 0, 0 } end
local rests = run.active == 0 and (OVER[run.status] or run.status == 'suspended')
return { call('LLEN', EVENTS), rests and 1 or 0 }
