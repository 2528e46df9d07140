"""A module that knows nothing of Drawbar: its steps are marked by their docstrings."""


def greet(name: str) -> str:
    """use step

    Greets.
    """  # noqa: D403, D415 - the directive
    return f"Hello, {_tidy(name)}!"


async def shout(text: str) -> str:
    """use step"""  # noqa: D403, D415
    return text.upper()


def _tidy(name: str) -> str:
    """Tidies up; no step, although it could use step."""
    return name.strip()
