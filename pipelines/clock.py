"""Time and chance come in from outside, so that tests never sleep."""

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds, never going back: for delays and ages inside this process. Leases use the database's clock."""
        ...


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()
