-- The run, or nothing.
return use(THIS) and reply_run()
