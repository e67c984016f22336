"""Payloads whose being away is told once, and seen by readiness."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipelines.payloads.port import PayloadMissing, Payloads, PayloadsAway


class WatchedPayloads:
    """See `pipelines.payloads.port.Payloads`."""

    def __init__(self, payloads: Payloads, tell: Callable[[str], None]) -> None:
        self._payloads = payloads
        self._tell = tell
        self.away: str | None = None
        """One line since a call failed, until one succeeds. Any thread may read it."""

    def put(self, key: str, data: bytes) -> None:
        with self._seen():
            self._payloads.put(key, data)

    def get(self, key: str, size: int | None = None) -> bytes:
        with self._seen():
            return self._payloads.get(key, size)

    def remove(self, keys: Sequence[str]) -> None:
        with self._seen():
            self._payloads.remove(keys)

    @contextmanager
    def _seen(self) -> Iterator[None]:
        try:
            yield
        except PayloadMissing:
            self._is_there()
            raise
        except PayloadsAway as away:
            before, self.away = self.away, str(away)
            if before is None:
                self._tell(str(away))
            raise
        self._is_there()

    def _is_there(self) -> None:
        if self.away is not None:
            self.away = None
            self._tell("payloads: there again")
