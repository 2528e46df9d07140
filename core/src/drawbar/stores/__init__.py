"""Stores: the source of truth. `base` is the interface that third parties implement, by URL scheme."""

from drawbar.stores.base import Ready, Store, StorePlugin

__all__ = ["Ready", "Store", "StorePlugin"]
