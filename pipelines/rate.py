"""How many jobs a tenant may submit: `100/s`, `6000/m`, `100/s:300` with a burst of 300."""

import math
import re
from collections.abc import Callable

from msgspec import Struct

EXPECTED = "expected jobs per second, minute or hour, with a burst if need be, such as 100/s, 6000/m or 100/s:300"
_WRITTEN = re.compile(r"(\d{1,9})/([smh])(?::(\d{1,9}))?", re.ASCII)
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


class Rate(Struct, frozen=True):
    """A token bucket, as the generic cell rate algorithm (GCRA, ITU-T I.371) keeps it: one number per bucket, the time at
    which it is full again."""

    interval: float
    """Seconds in which one job's worth comes back."""
    burst: int
    """Jobs at once. More at once (a batch) need a full bucket, and are paid off before the next."""

    @classmethod
    def parse(cls, written: str) -> "Rate":
        """Raises ValueError."""
        found = _WRITTEN.fullmatch(written.strip())
        if found is None or not int(found[1]) or (found[3] is not None and not int(found[3])):
            raise ValueError(EXPECTED)
        interval = _SECONDS[found[2]] / int(found[1])
        return cls(interval, int(found[3]) if found[3] else max(1, math.floor(1 / interval + 1e-9)))

    def wait(self, full_at: float, now: float, jobs: int) -> float:
        """Seconds until so many jobs may be taken of a bucket that is full at `full_at`; 0: now."""
        return max(0.0, max(full_at, now) - now + (min(jobs, self.burst) - self.burst) * self.interval)


class Buckets:
    """One bucket per tenant, of this process alone. One thread at a time."""

    def __init__(self, rate: Rate, monotonic: Callable[[], float]) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._full_at: dict[str, float] = {}

    def take(self, tenant: str, jobs: int) -> float:
        """0: taken. Else the seconds until they could be, and nothing is taken."""
        now = self._monotonic()
        full_at = self._full_at.get(tenant, now)
        wait = self._rate.wait(full_at, now, jobs)
        if wait <= 0:
            self._full_at[tenant] = max(full_at, now) + jobs * self._rate.interval
        return wait
