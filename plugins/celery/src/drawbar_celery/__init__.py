"""The Celery engine of Drawbar."""
