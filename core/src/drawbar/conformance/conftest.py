"""For `pytest --pyargs drawbar.conformance`: the fixtures, without a line of anybody's code."""

from drawbar.conformance.fixtures import engine, rig, workers

__all__ = ["engine", "rig", "workers"]
