"""The command line, for the guide's example."""

from tests.builders.command_line import postrail

__all__ = ["postrail"]
