"""The Dramatiq engine of Drawbar."""
