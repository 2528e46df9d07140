"""Stores: the source of truth of all runs. `base` is the interface; third parties implement it for a URL scheme.

- `base`: `Store`, the interface. `plugin`: `StorePlugin`, which makes a store from a URL.
- `rows`: `Rows` and `Reader`, the small interface between the semantics of a store and its database.
- `transitions`, `control`: the semantics, in terms of `Rows`; `change`: the steps that they are made of.
- `rows_store`: base classes for a store made of rows.
- `sql`: building blocks for a store on an SQL database.
- `waiting`, `jobs`, `options`, `values`: tools for stores.
- `memory`, `sqlite`: two stores.

Public: `drawbar.stores`, `drawbar.stores.base`, `drawbar.stores.rows`, `drawbar.stores.rows_store`,
`drawbar.stores.sql`, `drawbar.stores.jobs`, `drawbar.stores.options`, `drawbar.stores.transitions`,
`drawbar.stores.control`, `drawbar.stores.waiting`, `drawbar.stores.values`, `drawbar.stores.memory`,
`drawbar.stores.sqlite`. Everything else in here is internal.
"""

from drawbar.stores.base import Ready, Store, StorePlugin

__all__ = ["Ready", "Store", "StorePlugin"]
