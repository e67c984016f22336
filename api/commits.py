"""How submissions' transactions go: for metrics, and for readiness."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.store.port import StoreAway

_REMEMBERED = 10.0
"""Seconds that a failed commit keeps the API unready: without traffic nobody would ever see that commits go again."""
_HANGS = 5.0
"""Seconds after which a commit that still runs counts as one that fails."""

OnCommit = Callable[[int, float], None]
"""Told of every transaction: rows, seconds."""


class Commits:
    """Noted by the scribe's thread; any may ask."""

    def __init__(self, monotonic: Callable[[], float], on_commit: OnCommit) -> None:
        self._monotonic = monotonic
        self._on_commit = on_commit
        self._begun: float | None = None
        """Of the commit that runs."""
        self._failed: tuple[float, str] | None = None

    @contextmanager
    def of(self, rows: int) -> Iterator[None]:
        """Around one transaction."""
        begun = self._begun = self._monotonic()
        try:
            yield
        except StoreAway as away:
            self._failed = (self._monotonic(), str(away))
            raise
        finally:
            self._begun = None
        self._failed = None
        self._on_commit(rows, self._monotonic() - begun)

    def trouble(self) -> str | None:
        """One line while the last commit is one that failed: a store may answer questions and take no writes."""
        begun, failed = self._begun, self._failed
        if begun is not None and self._monotonic() - begun >= _HANGS:
            return f"the store takes no submissions: a commit has been running for {self._monotonic() - begun:.0f} s"
        if failed is None or self._monotonic() - failed[0] > _REMEMBERED:
            return None
        return f"the store takes no submissions: {failed[1]}"
