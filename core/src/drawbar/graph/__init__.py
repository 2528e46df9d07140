"""Graphs: the nodes of a workflow, the rules that they obey, the compiler, and pictures.

Public: `drawbar.graph.nodes`. Everything else in here is internal.
"""
