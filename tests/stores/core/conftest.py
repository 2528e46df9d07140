"""Every store, opened and empty, on every event loop. A further one is a line in tests/conftest.py."""

from collections.abc import AsyncIterator

import pytest

from drawbar.plugins import load_store
from drawbar.stores import Store


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Each event loop that anyio knows."""
    name: str = request.param
    return name


@pytest.fixture
async def store(each_store_url: str) -> AsyncIterator[Store]:
    """Each store in turn, empty."""
    store = load_store(each_store_url)
    await store.open()
    yield store
    await store.close()
