"""The Redis store: what it promises beyond what every store does."""
