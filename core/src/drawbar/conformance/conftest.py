"""The fixtures for `pytest --pyargs drawbar.conformance`."""

from drawbar.conformance.fixtures import engine, rig, workers

__all__ = ["engine", "rig", "workers"]
