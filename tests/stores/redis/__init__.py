"""Tests of the Redis store, for the properties that it does not share with every store."""
