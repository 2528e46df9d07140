"""How a step leaves early. Both pass through `except Exception` in the user's code: they are no errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawbar.records import Json


class SuspendStep(BaseException):
    """Raised by `ctx.suspend()`.

    Attributes:
        payload: What the one who resumes should know, in JSON form.
    """

    def __init__(self, payload: Json = None) -> None:
        super().__init__("the step suspends itself")
        self.payload = payload


class BailStep(BaseException):
    """Raised by `ctx.bail()`.

    Attributes:
        output: What the step's workflow completes with, in JSON form.
    """

    def __init__(self, output: Json = None) -> None:
        super().__init__("the step completes its workflow")
        self.output = output
