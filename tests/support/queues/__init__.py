"""What the tests of engines on task queues share: worker processes, workflows for them, and havoc."""
