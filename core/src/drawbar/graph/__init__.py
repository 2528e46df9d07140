"""Graphs: the builder, the workflow it commits, and the rules it has to keep."""

from drawbar.graph.begin import workflow
from drawbar.graph.bodies import chain
from drawbar.graph.builder import Builder
from drawbar.graph.workflow import Workflow

__all__ = ["Builder", "Workflow", "chain", "workflow"]
