"""The one line that says where distribution metadata comes from, so that the choice stays one line."""

import importlib_metadata as metadata

__all__ = ["metadata"]
