"""What a running batch shows: a bar with count, rate and time left; where nobody watches, a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from postrail.batch.run import Progress
from postrail.cli import console

_SHOWN_EVERY_SECONDS: Final = 0.1
_LINE_EVERY_SECONDS: Final = 15.0
_PARTS: Final = 1_000


class BatchMeter:
    """Takes in how far a run has come. `show` gets (share of the file, one line of figures)."""

    def __init__(self, show: Callable[[float, str], None], every_seconds: float) -> None:
        self._show = show
        self._every_seconds = every_seconds
        self._started = time.monotonic()
        self._shown_at = self._started

    def reach(self, progress: Progress) -> None:
        """Called for every committed chunk."""
        now = time.monotonic()
        if now - self._shown_at >= self._every_seconds:
            self._shown_at = now
            self._show(progress.fraction, self._figures(progress, now))

    def _figures(self, progress: Progress, now: float) -> str:
        rows = progress.counts.lines
        rate = (rows - progress.before) / max(0.001, now - self._started)
        return f"{rows:,} payments  {rate:,.0f}/s"


class _Lines:
    def __init__(self, file: str) -> None:
        self._file = file

    def __call__(self, fraction: float, figures: str) -> None:
        console.err().print(f"{self._file}: {fraction:.0%}  {figures}", soft_wrap=True)


class _OnBar:
    def __init__(self, bar: Bar, file: str) -> None:
        self._bar = bar
        self._task = bar.add_task(file, total=_PARTS, figures="")

    def __call__(self, fraction: float, figures: str) -> None:
        self._bar.update(self._task, completed=fraction * _PARTS, figures=figures)


@contextmanager
def batch_meter(file: str, *, quiet: bool) -> Iterator[BatchMeter]:
    """A meter for one file, on standard error; `quiet` shows nothing."""
    terminal = console.err()
    if quiet:
        yield BatchMeter(lambda *_: None, _LINE_EVERY_SECONDS)
    elif not terminal.is_terminal:
        yield BatchMeter(_Lines(file), _LINE_EVERY_SECONDS)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=terminal, transient=True) as bar:
            yield BatchMeter(_OnBar(bar, file), _SHOWN_EVERY_SECONDS)
