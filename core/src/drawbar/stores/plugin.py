"""The object that makes a store from a URL. `drawbar.stores` and `drawbar.stores.base` have it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from drawbar.stores.base import Store


class StorePlugin:
    """The object that an entry point of the group `drawbar.stores` names. It makes a store from a URL.

    Args:
        factory: A function that takes the URL and returns the store.
    """

    def __init__(self, factory: Any) -> None:
        self.factory = factory

    def create(self, url: str) -> Store:
        """Return the store, not opened.

        Args:
            url: The URL, whose scheme is the name of the entry point.

        Raises:
            SettingsError: The URL is wrong.
        """
        store: Store = self.factory(url)
        return store
