"""Every workflow of the clauses, under one module's name: a worker imports `drawbar.conformance.flows`, and so does the test.

So they are the same objects on every engine. What a step has done, it writes down itself (`drawbar.conformance.witness`).
"""

from drawbar import Workflow
from drawbar.conformance.flows import (
    authoring,
    branches,
    events,
    failure,
    foreach,
    joins,
    loops,
    nested,
    recovery,
    running,
    state,
    suspend,
    timers,
    types,
)

MODULES = (
    authoring,
    branches,
    events,
    failure,
    foreach,
    joins,
    loops,
    nested,
    recovery,
    running,
    state,
    suspend,
    timers,
    types,
)

probe = running.probe

# A worker serves what is an attribute of the module it was given.
globals().update(
    (f"workflow {value.id}", value)
    for module in MODULES
    for value in list(vars(module).values())
    if isinstance(value, Workflow)
)
