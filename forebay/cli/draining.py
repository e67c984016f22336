"""How far `forebay stream --until-drained` got: a bar on a terminal, a line now and then elsewhere, a line at the end."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.stream.observer import StreamObserver
from pipelines.stream.positions import Partition

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY_S = 10.0


class Draining(StreamObserver):
    """Counts what this process committed, beside what its partitions still hold. Called by the lane's thread."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        say: Callable[[str], None],
        show: Callable[[int, int], None] | None = None,
    ) -> None:
        """`show`: told records done and records in all, as a bar does; without it a line is said every ten seconds."""
        self._monotonic = monotonic
        self._say = say
        self._show = show
        self._begun = self._said_at = monotonic()
        self._done = 0
        self._left: int | None = None
        """As of the last look; None before the first."""
        self._pending: Counter[str] = Counter()
        self._dead: Counter[str] = Counter()

    def batch(self, records: int, dead: Mapping[str, int], seconds: float) -> None:
        self._pending.update(dead)

    def committed(self, records: int, seconds: float) -> None:
        self._done += records
        self._dead.update(self._pending)
        self._pending.clear()
        if self._left is not None:
            self._left = max(0, self._left - records)
            self._tell()

    def undone(self, why: str) -> None:
        self._pending.clear()

    def lag(self, lag: Mapping[Partition, int], watermarks: Mapping[Partition, float]) -> None:
        self._left = sum(lag.values())
        self._tell()

    def summary(self) -> str:
        seconds = max(self._monotonic() - self._begun, 1e-9)
        dead = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self._dead.items()))
        letters = f"{self._dead.total():,} dead letters ({dead})" if dead else "no dead letters"
        return f"{self._done:,} records in {seconds:.1f} s ({self._done / seconds:,.0f}/s), {letters}"

    def _tell(self) -> None:
        left = self._left or 0
        now = self._monotonic()
        if self._show is not None:
            self._show(self._done, self._done + left)
        elif now - self._said_at >= LINE_EVERY_S:
            self._said_at = now
            rate = self._done / (now - self._begun)
            ends = f", {left / rate:,.0f} s to go" if rate else ""
            self._say(f"{self._done:,} of {self._done + left:,} records, {rate:,.0f}/s{ends}")


@contextmanager
def draining(console: "Console | None" = None) -> Iterator[StreamObserver]:
    """An observer for as long as the lane serves; says at the end what was done, also when it was stopped before."""

    def say(line: str) -> None:
        print(f"forebay stream: {line}", file=sys.stderr, flush=True)

    with _bar(console) as show:
        observer = Draining(time.monotonic, say, show)
        yield observer
    say(observer.summary())


@contextmanager
def _bar(console: "Console | None") -> Iterator[Callable[[int, int], None] | None]:
    if console is None and not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console or Console(stderr=True), transient=True) as bar:
        task = bar.add_task("records", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
