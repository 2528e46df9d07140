"""What the tests of every subject share."""
