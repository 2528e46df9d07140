"""Graphs: the nodes of a workflow, the rules they have to keep, and their pictures."""
