"""How results look: aligned tables without frames, numbers to the right, one JSON object where a program reads.

Results go to standard output, progress and remarks to standard error. Rich leaves colours out when NO_COLOR is set
or the stream is no terminal.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from postrail.domain.iso4217 import currency_by_code

_WIDTH_WHEN_PIPED = 160
"""Wide enough that no row of a table is broken when a file or another program reads it."""


def out() -> Console:
    """Standard output."""
    return _console(stderr=False)


def err() -> Console:
    """Standard error."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, highlight=False, markup=False, emoji=False, width=None if stream.isatty() else _WIDTH_WHEN_PIPED
    )


def write_json(document: Any) -> None:
    """One JSON document on standard output, and nothing else."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")


def table(*columns: str, right: Iterable[str] = (), title: str | None = None) -> Table:
    """An empty table; the columns named in `right` hold numbers and are aligned to the right."""
    to_the_right = set(right)
    grid = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left", title_style="bold")
    for column in columns:
        grid.add_column(column, justify="right" if column in to_the_right else "left", overflow="fold")
    return grid


def facts(rows: Sequence[tuple[str, str]]) -> Table:
    """Names and values under each other, without a header."""
    grid = Table(box=None, pad_edge=False, show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value)
    return grid


@contextmanager
def working(description: str) -> Iterator[None]:
    """A spinner on standard error while something runs whose length is not known; a line when it is no terminal."""
    console = err()
    if console.is_terminal:
        with console.status(description):
            yield
        return
    console.print(f"{description} ...")
    yield


@contextmanager
def progress(description: str, total: int) -> Iterator["Meter"]:
    """A progress bar on standard error; on a stream that is no terminal, a line at the start and at the end."""
    console = err()
    if not console.is_terminal:
        console.print(f"{description} ...")
        meter = Meter(total)
        yield meter
        console.print(f"{description}: {meter.done} of {total}")
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(description, total=total)
        yield Meter(total, lambda done: bar.update(task, completed=done))


class Meter:
    """How far a piece of work has come."""

    def __init__(self, total: int, show: Any = None) -> None:
        self.total = total
        self.done = 0
        self._show = show

    def reach(self, done: int) -> None:
        """Say that `done` of the total are done."""
        self.done = done
        if self._show is not None:
            self._show(done)


def format_minor(amount_minor: int, currency: str) -> str:
    """An amount in major units with its currency, e.g. 1,025.50 EUR."""
    exponent = currency_by_code(currency).exponent
    sign, digits = ("-" if amount_minor < 0 else ""), str(abs(amount_minor)).rjust(exponent + 1, "0")
    whole, fraction = (digits[:-exponent], digits[-exponent:]) if exponent else (digits, "")
    return f"{sign}{int(whole):,}{'.' + fraction if fraction else ''} {currency}"
