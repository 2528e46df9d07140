"""Opening a store within the time that the settings allow."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from drawbar.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from drawbar.stores.base import Store


log = logging.getLogger("drawbar.client")


async def close_store(store: Store) -> None:
    """Close a store. An error of the store is logged: it must not hide the result or the error of its user.

    Args:
        store: The store.
    """
    try:
        await store.close()
    except StoreError as error:
        log.warning("the store was not closed properly: %s", error)


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
