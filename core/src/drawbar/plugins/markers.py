"""The markers of hook specifications and of their implementations."""

import pluggy

hookspec = pluggy.HookspecMarker("drawbar")
hookimpl = pluggy.HookimplMarker("drawbar")
