-- Reads what a caller of `wait` needs. Reply: [number of the newest event, 1 if the run is at rest].
-- Twin of drawbar.stores.base.Store.wait, for the question that it asks again and again.
if not begin(TARGET_RUN) then return { 0, 0 } end
local at_rest = run.active == 0 and (IS_FINISHED[run.status] or run.status == 'suspended')
return { call('LLEN', EVENTS_KEY), at_rest and 1 or 0 }
