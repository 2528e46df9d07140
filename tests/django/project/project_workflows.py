"""A workflow whose steps and callback use the database of a Django project."""

from typing import Any

import django

from drawbar import RunResult, step, workflow

django.setup()

from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.db import connection  # noqa: E402


def backend() -> int:
    """Return the process of the server that serves this thread's connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


@step
def look(seen: list[int]) -> list[int]:
    ContentType.objects.count()
    return [*seen, backend()]


@step(timeout=60)
def look_with_timeout(seen: list[int]) -> list[int]:
    return [*seen, backend()]


def told(_result: RunResult[Any]) -> None:
    backend()


looks = (
    workflow("looks", input=list[int], on_start=told, on_finish=told)
    .then(look)
    .then(look.with_id("again"))
    .then(look_with_timeout)
    .commit()
)
