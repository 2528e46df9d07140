"""A podcast that worked with Dramatiq before it had workflows."""
