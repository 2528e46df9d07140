"""Fixtures for every subject.

`DRAWBAR_TEST_ENGINE`, `DRAWBAR_TEST_BROKER` and `DRAWBAR_TEST_STORE` say what the cross-engine tests run on;
tox sets them from the environment's name. Without them: the in-process engine and the memory store.
"""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import services

STORES = {"memory": "drawbar", "sqlite": "drawbar", "redis": "drawbar_redis", "postgres": "drawbar_postgres"}


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own DRAWBAR_* settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("DRAWBAR_") and not name.startswith("DRAWBAR_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def engine_name() -> str:
    """The engine under test: local, celery, dramatiq or a third party's."""
    return os.environ.get("DRAWBAR_TEST_ENGINE") or "local"


@pytest.fixture(scope="session")
def broker_name() -> str | None:
    """The broker under test: redis, rabbitmq or stub; None for an engine without one."""
    return os.environ.get("DRAWBAR_TEST_BROKER") or None


@pytest.fixture(scope="session")
def store_name() -> str:
    """The store under test: memory, sqlite, redis or postgres."""
    return os.environ.get("DRAWBAR_TEST_STORE") or "memory"


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An empty Redis database of the test's own."""
    with services.redis_database() as url:
        yield url


@pytest.fixture
def postgres_url() -> Iterator[str]:
    """A new PostgreSQL database of the test's own."""
    with services.postgres_database() as url:
        yield url


@pytest.fixture
def rabbitmq_url() -> Iterator[str]:
    """A RabbitMQ virtual host of the test's own."""
    with services.rabbitmq_vhost() as url:
        yield url


@pytest.fixture
def broker_url(broker_name: str | None, request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The broker under test, empty, never the same database as `store_url`; None for stub and without one."""
    if broker_name == "redis":
        with services.redis_database() as url:
            yield url
    elif broker_name == "rabbitmq":
        yield request.getfixturevalue("rabbitmq_url")
    else:
        yield None


@pytest.fixture
def store_url(store_name: str, request: pytest.FixtureRequest) -> str:
    """The store under test, empty."""
    return _store_url(store_name, request)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `each_store_url` once per installed store, or on the one under test."""
    if "each_store_url" in metafunc.fixturenames:
        chosen = os.environ.get("DRAWBAR_TEST_STORE")
        installed = [name for name, module in STORES.items() if importlib.util.find_spec(module)]
        names = [chosen] if chosen else installed
        metafunc.parametrize("each_store_url", names, indirect=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a session on a named engine that skipped everything: it has tested nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped_all = bool(reporter and reporter.stats.get("skipped") and not reporter.stats.get("passed"))
    if skipped_all and exitstatus == pytest.ExitCode.OK and os.environ.get("DRAWBAR_TEST_ENGINE"):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED


@pytest.fixture
def each_store_url(request: pytest.FixtureRequest) -> str:
    """Every store in turn, empty."""
    return _store_url(request.param, request)


def _store_url(name: str, request: pytest.FixtureRequest) -> str:
    if name == "memory":
        return "memory://"
    if name == "sqlite":
        folder: Path = request.getfixturevalue("tmp_path")
        return f"sqlite:///{folder}/drawbar.db"
    url: str = request.getfixturevalue(f"{name}_url")
    return url
