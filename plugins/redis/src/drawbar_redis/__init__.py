"""The Redis store of Drawbar."""
