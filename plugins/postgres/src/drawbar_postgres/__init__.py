"""The PostgreSQL store of Drawbar."""
