"""How far `forebay stream --until-drained` got: a bar on a terminal, a line now and then elsewhere, a line at the end."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from forebay.cli.how_far import HowFar, Show, bar
from pipelines.stream.observer import StreamObserver
from pipelines.stream.positions import Partition

if TYPE_CHECKING:
    from rich.console import Console


class Draining(StreamObserver):
    """Counts what this process committed, beside what its partitions still hold. Called by the lane's thread."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        say: Callable[[str], None],
        show: Show | None = None,
    ) -> None:
        self._far = HowFar("records", monotonic, say, show)
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
        dead = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self._dead.items()))
        letters = f"{self._dead.total():,} dead letters ({dead})" if dead else "no dead letters"
        return f"{self._done:,} records in {self._far.seconds():.1f} s ({self._far.rate(self._done):,.0f}/s), {letters}"

    def _tell(self) -> None:
        self._far.told(self._done, self._done + (self._left or 0))


@contextmanager
def draining(console: "Console | None" = None) -> Iterator[StreamObserver]:
    """An observer for as long as the lane serves; says at the end what was done, also when it was stopped before."""

    def say(line: str) -> None:
        print(f"forebay stream: {line}", file=sys.stderr, flush=True)

    with bar("records", console) as show:
        observer = Draining(time.monotonic, say, show)
        yield observer
    say(observer.summary())
