"""What happens often and is said seldom: at once the first time, then at most once in a while with how often it was."""

import threading
from collections.abc import Callable


class Seldom:
    """Any thread may ask."""

    def __init__(self, monotonic: Callable[[], float], every: float) -> None:
        """`every`: seconds between two times that something is said."""
        self._monotonic = monotonic
        self._every = every
        self._lock = threading.Lock()
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def due(self, what: str, count: int = 1) -> int:
        """It happened `count` times. How often to say that it did, since it was last said; 0: say nothing now."""
        now = self._monotonic()
        with self._lock:
            unsaid = self._unsaid[what] = self._unsaid.get(what, 0) + count
            if now - self._said_at.get(what, float("-inf")) < self._every:
                return 0
            self._said_at[what], self._unsaid[what] = now, 0
            return unsaid
