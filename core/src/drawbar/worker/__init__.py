"""Workers: claim a task, run it, commit its outcome, go on; and the process that a worker lives in.

Internal: third parties import nothing from here.
"""
