"""The settings of the engine `celery`."""

from typing import Literal

from pydantic import Field

from drawbar.engine import AppSettings


class CelerySettings(AppSettings):
    """Settings of the engine `celery`."""

    pool: Literal["prefork", "threads", "solo"] = Field("prefork", description="Pool of `drawbar worker`.")
