"""Every workflow of the clauses, in one module that tests and workers import.

So the workflows are the same on every engine. Steps write notes of what they do: see `witness`.
"""

from drawbar import Workflow
from drawbar.conformance.flows import (
    authoring,
    branches,
    events,
    failure,
    foreach,
    forks,
    isolation,
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
    forks,
    isolation,
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
