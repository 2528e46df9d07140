"""The contract, on the engine that the environment names."""

from drawbar.conformance.suite import *  # noqa: F403

del rig, workers  # noqa: F821 - these are this folder's own, in conftest.py
