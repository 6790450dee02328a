"""Reads the named statements of the `.sql` files beside this module: SQL is read as SQL.

A file holds one statement or more, each under a line `-- name: statement_name`.
"""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)


@cache
def statements(file_name: str) -> dict[str, str]:
    """The statements of one file of `sql/`, by name, in the order of the file."""
    text = (files("postrail.adapters.postgres") / "sql" / file_name).read_text(encoding="utf-8")
    _, *named = _NAME.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(named[::2], named[1::2], strict=True)}
