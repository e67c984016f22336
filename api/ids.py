"""Job ids: UUID version 7 (RFC 9562), rising within one process so that rows stay in order."""

from collections.abc import Callable

_COUNTER_BITS = 12


class Ids:
    """Called by one thread only."""

    def __init__(self, clock: Callable[[], float], random_bits: Callable[[int], int]) -> None:
        self._clock = clock
        self._random_bits = random_bits
        self._last = 0
        """Milliseconds and counter (RFC 9562, 6.2, method 1) of the id before."""

    def __call__(self) -> str:
        now = int(self._clock() * 1000) << _COUNTER_BITS
        # Ids made within one millisecond count on, if need be into the next: so does a clock that steps back.
        self._last = max(self._last + 1, now)
        milliseconds, counter = divmod(self._last, 1 << _COUNTER_BITS)
        value = milliseconds << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | self._random_bits(62)
        digits = f"{value:032x}"
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
