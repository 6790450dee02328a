"""How long work shows itself: a live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.status import Status

_PLAIN_UPDATE_S: Final = 10.0


class Step:
    """One piece of work under way; `update` says how far it is."""

    def __init__(self, title: str, console: Console, status: Status | None) -> None:
        self._title = title
        self._console = console
        self._status = status
        self._began = time.monotonic()
        self._said_at = self._began
        self.result = ""

    def update(self, text: str) -> None:
        """Show how far the work is; on a plain output at most every ten seconds."""
        if self._status is not None:
            self._status.update(f"{escape(self._title)}: {escape(text)} [dim]({self.elapsed_s():.0f} s)[/dim]")
        elif time.monotonic() - self._said_at >= _PLAIN_UPDATE_S:
            self._said_at = time.monotonic()
            self._console.print(
                f"  {self._title}: {text} ({self.elapsed_s():.0f} s)", markup=False, highlight=False, soft_wrap=True
            )

    def elapsed_s(self) -> float:
        """Seconds since the step began."""
        return time.monotonic() - self._began


class Reporter:
    """Prints the steps of `up` and `down`."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show a piece of work from its start to its end; `step.result` becomes the last line's text."""
        if self.console.is_terminal:
            with self.console.status(escape(title)) as status:
                step = Step(title, self.console, status)
                yield step
        else:
            self.console.print(f"{title} ...", markup=False, highlight=False, soft_wrap=True)
            step = Step(title, self.console, None)
            yield step
        detail = f": {step.result}" if step.result else ""
        self.console.print(
            f"[green]ok[/green]  {escape(title)}{escape(detail)} [dim]({step.elapsed_s():.1f} s)[/dim]",
            highlight=False,
            soft_wrap=True,
        )

    def note(self, text: str) -> None:
        """One line that is neither start nor end of anything."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)
