"""The contract, on an engine that is not ours."""

from drawbar.conformance.suite import *  # noqa: F403

del rig, workers  # noqa: F821 - these are this folder's own, in conftest.py
