"""A refused login, and a database that does not exist, are errors of configuration: no server to wait for."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawbar import ConfigurationError, open_engine
from drawbar.errors import StoreRefused
from tests.support import services


@pytest.fixture(params=["postgres-role", "postgres-database", "redis-password", "redis-database"])
def refused_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the URL of a server that runs, and refuses this client."""
    service, _, what = request.param.partition("-")
    if service == "postgres":
        with services.postgres_database() as url:
            place = url.rpartition("@")[2]
            wrong = {"role": f"postgresql://nosuchrole:Wrong7@{place}", "database": f"{url}_missing"}
            yield wrong[what]
    else:
        place = services.require("redis").rpartition("@")[2].removeprefix("redis://").partition("/")[0]
        yield {"password": f"redis://nosuchuser:Wrong7@{place}/1", "database": f"redis://{place}/9999999"}[what]


def test_opening_raises_an_error_of_configuration(refused_url: str) -> None:
    with pytest.raises(StoreRefused) as caught, open_engine("local", store=refused_url):
        pass
    assert isinstance(caught.value, ConfigurationError)
    assert "Wrong7" not in str(caught.value)
    assert "cannot be reached" not in str(caught.value)


@pytest.mark.parametrize("arguments", [["runs", "list"], ["worker", "--engine", "local"]])
def test_the_command_line_ends_with_2(refused_url: str, arguments: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "drawbar", *arguments, "--store", refused_url]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done
    assert "refuses" in done.stderr
