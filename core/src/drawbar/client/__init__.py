"""Clients: start runs, find them again and control them.

Public: `drawbar.client`. Everything else in here is internal.
"""

from drawbar.client.client import Client, open_engine

__all__ = ["Client", "open_engine"]
