"""Whether the place where payloads are can be reached, by how calls and looks went last."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.payloads.port import PayloadMissing, PayloadsAway

CALM_S = 30.0
"""A look alone says no more than that something answers. A call that failed meanwhile, for a full disk or for want of a
permission, is doubted for so long."""


class Presence:
    """Told of by every thread that calls. It tells once that the place went, and once that it is there again."""

    def __init__(self, tell: Callable[[str], None], monotonic: Callable[[], float]) -> None:
        self._tell = tell
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._doubted_at = float("-inf")
        """When a call failed last, after which no look did."""
        self.away: str | None = None
        """One line since a call failed, until one succeeds. Any thread may read it."""

    @contextmanager
    def seen(self) -> Iterator[None]:
        """A call whose success says that the place is there. Raises what the call raises."""
        with self.suspected():
            try:
                yield
            except PayloadMissing:
                self.answered()
                raise
        self.answered()

    @contextmanager
    def suspected(self) -> Iterator[None]:
        """A call whose success says nothing, for it need not have gone there."""
        try:
            yield
        except PayloadsAway as away:
            self._doubted_at = self._monotonic()
            self._failed(str(away))
            raise

    def answered(self) -> None:
        with self._lock:
            was, self.away = self.away, None
        if was is not None:
            self._tell("payloads: there again")

    def looked(self, fault: str | None) -> None:
        """What a look came to; None: it is there."""
        if fault is not None:
            self._doubted_at = float("-inf")
            self._failed(fault)
        elif self._monotonic() - self._doubted_at >= CALM_S:
            self.answered()

    def _failed(self, line: str) -> None:
        with self._lock:
            was, self.away = self.away, line
        if was is None:
            self._tell(line)
