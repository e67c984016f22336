"""Which connection carries the next request: one at a time each, so that finding one takes no search."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

KEPT = 64
"""Most connections that are kept while nobody uses them."""
IDLE = 5.0
"""Seconds that an unused connection is kept: shorter than servers and proxies keep it."""


@dataclass
class Lanes(Generic[T]):
    """Unused connections, the one used last on top: few stay warm, and the others grow old and go. There are never more
    than `KEPT`, or than were in use at once. Safe to share by threads; it closes nothing itself."""

    now: Callable[[], float]
    closed: bool = False
    _idle: deque[tuple[float, T]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> T | None:
        """The connection used last, for one request; None when a new one is to be made. Raises RuntimeError once closed."""
        with self._lock:
            if self.closed:
                raise RuntimeError("the client is closed")
            return self._idle.pop()[1] if self._idle else None

    def put(self, lane: T) -> list[T]:
        """It is unused again. Returns those that the caller closes: the ones too many or too old, or this one if closed."""
        with self._lock:
            if self.closed:
                return [lane]
            self._idle.append((self.now(), lane))
            return self._surplus()

    def close(self) -> list[T]:
        """The unused ones, for the caller to close. Those in use follow when they are put back."""
        with self._lock:
            self.closed = True
            lanes = [lane for _, lane in self._idle]
            self._idle.clear()
            return lanes

    def _surplus(self) -> list[T]:
        oldest = self.now() - IDLE
        gone = []
        while len(self._idle) > KEPT or self._idle[0][0] < oldest:
            gone.append(self._idle.popleft()[1])
        return gone
