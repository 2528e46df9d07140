"""Benchmarks: the same work on Drawbar and on what a user would pick instead."""
