"""Steps: plain functions with an id, types and a policy.

Internal: third parties import nothing from here.
"""

from drawbar.steps.define import step
from drawbar.steps.directive import load_steps
from drawbar.steps.policy import Policy, Retry
from drawbar.steps.step import Step

__all__ = ["Policy", "Retry", "Step", "load_steps", "step"]
