"""Reads the named statements of `.sql` files: SQL is read as SQL.

A file holds one statement or more, each under a line `-- name: statement_name`.
"""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: ([a-z_]+)$", re.MULTILINE)


@cache
def statements(file_name: str, package: str = "postrail.adapters.postgres") -> dict[str, str]:
    """The statements of one file in the folder `sql/` of a package, by name, in the order of the file."""
    text = (files(package) / "sql" / file_name).read_text(encoding="utf-8")
    _, *named = _NAME.split(text)
    return {name: body.strip().rstrip(";") for name, body in zip(named[::2], named[1::2], strict=True)}
