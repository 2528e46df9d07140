"""Fixtures of the Redis store's tests."""

from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from drawbar_redis import RedisStore, plugin
from tests.support import services
from tests.support.servers import PrivateRedis

Stores = Callable[..., RedisStore]


@pytest.fixture
def anyio_backend() -> str:
    """These tests run on asyncio; under trio the store is in test_loops.py."""
    return "asyncio"


@pytest.fixture
async def stores() -> AsyncIterator[Stores]:
    """Makes stores, as `make` does, and closes them."""
    made: list[RedisStore] = []

    def one(url: str, **options: object) -> RedisStore:
        made.append(make(url, **options))
        return made[-1]

    yield one
    for store in made:
        await store.close()


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[RedisStore]:
    """An open store on a database of the test's own."""
    opened = make(redis_url)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture(scope="module")
def server() -> Iterator[PrivateRedis]:
    """A server that nobody else talks to, for tests that count or kill."""
    private = services.private(PrivateRedis)
    assert isinstance(private, PrivateRedis)
    with private:
        yield private


@pytest.fixture
async def alone(server: PrivateRedis) -> AsyncIterator[RedisStore]:
    """An open, empty store on that server."""
    opened = make(server.url)
    await opened.open()
    yield opened
    await opened._client.run_command("", "FLUSHALL")
    await opened.close()


def make(url: str, **options: object) -> RedisStore:
    """A store of that URL with these options."""
    query = "&".join(f"{name}={value}" for name, value in options.items())
    made = plugin.create(f"{url}?{query}" if query else url)
    assert isinstance(made, RedisStore)
    return made
