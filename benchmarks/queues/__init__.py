"""The same work on Drawbar over a task queue and on the queue's own way to compose tasks."""
