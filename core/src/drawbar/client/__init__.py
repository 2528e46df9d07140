"""Clients: start runs, find them again and control them."""

from drawbar.client.client import Client, open_engine

__all__ = ["Client", "open_engine"]
