"""When to try again."""

from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

Uniform = Callable[[float, float], float]
"""A random number between two bounds."""


@dataclass(frozen=True)
class Retries:
    """Full-jitter backoff: before retry n, a uniform draw up to `base` × 2^(n−1) seconds, at most `most`."""

    count: int = 6
    base: float = 0.2
    most: float = 10.0
    patience: float = 60.0
    """The longest Retry-After, in seconds, that is waited for; a longer one is the caller's to decide about."""

    def delay(self, retry: int, retry_after: float | None, uniform: Uniform) -> float | None:
        """Seconds before this retry (the first is 1); None: give up. What the server asked for, it gets, and the jitter on
        top, so that its clients do not all come back at once."""
        if retry > self.count or (retry_after or 0.0) > self.patience:
            return None
        return (retry_after or 0.0) + uniform(0.0, min(self.most, self.base * 2.0 ** min(retry - 1, 64)))


DEFAULT_RETRIES: Final = Retries()


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds from a Retry-After header: a number, or a date compared with `now` (epoch seconds)."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None
