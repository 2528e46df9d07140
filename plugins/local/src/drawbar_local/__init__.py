"""The in-process engine of Drawbar."""
