"""A command group that imports a command's module only when that command runs.

`postrail --help` needs names and one line each, not boto3, asyncpg and pydantic: those come in with the command.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command lives (`module` has a Typer named `app`) and its line in the list of commands."""

    module: str
    summary: str


class LazyGroup(TyperGroup):
    """A group whose members are named in `members` and imported on demand."""

    members: ClassVar[Mapping[str, LazyCommand]] = {}

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class hands it over
        """All names, in the order of `members`."""
        return list(self.members)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command's line for the list of commands; the command itself when a shell asks for completions."""
        member = self.members.get(cmd_name)
        if member is None:
            return None
        if ctx.resilient_parsing:
            return load_command(cmd_name, member)
        return TyperCommand(cmd_name, help=member.summary)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is about to run, imported now."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name in self.members:
            command = load_command(name, self.members[name])
        return name, command, rest


def load_command(name: str, member: LazyCommand) -> Any:
    """Import a member's module and turn its `app` into a command of this name."""
    app: typer.Typer = import_module(member.module).app
    command = get_command(app)
    command.name = name
    return command
