"""How far long work got: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY_S = 10.0

Show: TypeAlias = Callable[[int, int], None]
"""Told how many are done and how many there are in all, as a bar is."""


class HowFar:
    """Counts from when it is made."""

    def __init__(
        self, what: str, monotonic: Callable[[], float], say: Callable[[str], None], show: Show | None, before: int = 0
    ) -> None:
        """`what` there are so many of: `records`. `show`: None, and a line is said every ten seconds. `before`: done by
        others; no rate is made of them."""
        self._what = what
        self._monotonic = monotonic
        self._say = say
        self._show = show
        self._before = before
        self._begun = self._said_at = monotonic()

    def told(self, done: int, total: int) -> None:
        now = self._monotonic()
        if self._show is not None:
            self._show(done, total)
        elif now - self._said_at >= LINE_EVERY_S:
            self._said_at = now
            rate = self.rate(done)
            ends = f", {max(0, total - done) / rate:,.0f} s to go" if rate else ""
            self._say(f"{done:,} of {total:,} {self._what}, {rate:,.0f}/s{ends}")

    def seconds(self) -> float:
        return max(self._monotonic() - self._begun, 1e-9)

    def rate(self, done: int) -> float:
        """A second."""
        return (done - self._before) / self.seconds()


@contextmanager
def bar(what: str, console: "Console | None" = None) -> Iterator[Show | None]:
    """None where nobody watches a terminal."""
    if console is None and not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f}/s")  # none before the second one

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
