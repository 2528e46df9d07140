"""A module that does not import Drawbar. Docstrings mark its steps for `load_steps`."""


def greet(name: str) -> str:
    """use step

    Greet a person.
    """  # noqa: D403, D415 - the directive
    return f"Hello, {_tidy(name)}!"


async def shout(text: str) -> str:
    """use step"""  # noqa: D403, D415
    return text.upper()


def _tidy(name: str) -> str:
    """Remove spaces. This is not a step: its docstring only mentions "use step" later."""
    return name.strip()
