"""Opening a store within the time that the settings allow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from drawbar.errors import StoreUnavailable

if TYPE_CHECKING:
    from drawbar.stores.base import Store


async def open_store(store: Store, timeout: float) -> None:
    """Open a store, or close it again and raise.

    Args:
        store: The store.
        timeout: Seconds that opening may take (setting `connect_timeout`).

    Raises:
        StoreUnavailable: The store cannot be reached, or did not answer in time.
    """
    try:
        with anyio.fail_after(timeout):
            await store.open()
    except TimeoutError:
        with anyio.CancelScope(shield=True):
            await store.close()
        raise StoreUnavailable(
            f"the store did not answer within connect_timeout = {timeout:g} s; "
            "start it, or raise the setting connect_timeout"
        ) from None
