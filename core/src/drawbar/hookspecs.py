"""Public names of the hook specifications: plugins import them from here."""

from drawbar.plugins.hookspecs import (
    drawbar_add_commands,
    drawbar_check_graph,
    drawbar_register_engine,
    drawbar_run_event,
    drawbar_wrap_attempt,
    drawbar_wrap_call,
    hookimpl,
    hookspec,
)

__all__ = [
    "drawbar_add_commands",
    "drawbar_check_graph",
    "drawbar_register_engine",
    "drawbar_run_event",
    "drawbar_wrap_attempt",
    "drawbar_wrap_call",
    "hookimpl",
    "hookspec",
]
