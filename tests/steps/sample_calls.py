"""Steps by directive: this module imports nothing of Drawbar."""
# ruff: noqa: D200, D212, D403, D415

from json import dumps  # noqa: F401 - not a step: it is defined elsewhere


async def fetch_user(user_id: str) -> dict[str, str]:
    """use step

    Ask the directory.
    """
    return {"id": user_id}


def send_email(to: str) -> bool:
    """
    use step
    """
    return bool(to)


def helper(value: int) -> int:
    """Be of use, step by step."""
    return value


def near_miss() -> None:
    """use step twice"""


class Client:
    """use step"""


also_send_email = send_email
