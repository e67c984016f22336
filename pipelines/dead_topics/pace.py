"""At most so many a second, spread over each second rather than spent at its start."""

from collections.abc import Callable

from pipelines.clock import Clock

_CHUNKS_A_SECOND = 10


class Pace:
    def __init__(self, rate: float | None, clock: Clock, sleep: Callable[[float], None]) -> None:
        """`rate`: a second; None is as quick as it goes."""
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._began: float | None = None
        self._done = 0

    def chunk(self, most: int) -> int:
        """How many to take at once."""
        return most if self._rate is None else max(1, min(most, int(self._rate / _CHUNKS_A_SECOND)))

    def wait(self, next: int) -> None:
        """Until the `next` of them may be taken."""
        if self._rate is None:
            return
        if self._began is None:
            self._began = self._clock.monotonic()
        self._sleep(max(0.0, self._began + self._done / self._rate - self._clock.monotonic()))
        self._done += next
