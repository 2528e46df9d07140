"""The object that makes a store from a URL. `drawbar.stores` and `drawbar.stores.base` have it too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

S = TypeVar("S")


class StorePlugin(Generic[S]):
    """The object that an entry point of the group `drawbar.stores` names. It makes a store from a URL.

    Args:
        factory: A function that takes the URL and returns the store.
    """

    def __init__(self, factory: Callable[[str], S]) -> None:
        self.factory = factory

    def create(self, url: str) -> S:
        """Return the store, not opened.

        Args:
            url: The URL, whose scheme is the name of the entry point.

        Raises:
            SettingsError: The URL is wrong.
        """
        return self.factory(url)
