"""The command line's fixtures."""

from tests.builders.command_line import aws, graph, no_graph, postrail

__all__ = ["aws", "graph", "no_graph", "postrail"]
