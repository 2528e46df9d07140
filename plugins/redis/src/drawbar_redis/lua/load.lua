-- Reads a run. Reply: the run, or nothing if the store has no such run.
-- Twin of drawbar.stores.base.Store.load.
return begin(TARGET_RUN) and reply_run()
