"""Fixtures of the Redis store's tests."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from drawbar_redis import RedisStore, plugin
from tests.support import services
from tests.support.servers import PrivateRedis

Stores = Callable[..., RedisStore]


@pytest.fixture
def anyio_backend() -> str:
    """Run these tests on asyncio. The tests under trio are in test_processes.py."""
    return "asyncio"


@pytest.fixture
async def stores() -> AsyncIterator[Stores]:
    """Return a function that makes stores as `make` does. They are closed after the test."""
    made: list[RedisStore] = []

    def one(url: str, **options: object) -> RedisStore:
        made.append(make(url, **options))
        return made[-1]

    yield one
    for store in made:
        await store.close()


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisStore]:
    """An open store on a database that only this test uses."""
    opened = make(redis_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    """A server that only this module's tests use: they count its commands, or pause it."""
    private = services.private(PrivateRedis)
    assert isinstance(private, PrivateRedis)
    with private:
        yield private


@pytest.fixture
async def private_store(server: PrivateRedis) -> AsyncIterator[RedisStore]:
    """An open and empty store on the private server."""
    opened = make(server.url)
    await opened.open()
    yield opened
    await opened._client.run_command("", "FLUSHALL")
    await opened.close()


def make(url: str, **options: object) -> RedisStore:
    """Return a store with a URL and these options of the URL."""
    query = "&".join(f"{name}={value}" for name, value in options.items())
    made = plugin.create(f"{url}?{query}" if query else url)
    assert isinstance(made, RedisStore)
    return made
