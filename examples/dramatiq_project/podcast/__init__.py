"""A podcast site with Dramatiq actors and Drawbar workflows."""
