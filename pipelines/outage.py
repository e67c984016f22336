"""Whether something outside answers, by how the calls of each kind went last."""

import threading
import time
from collections.abc import Callable

from pipelines.seldom import Seldom

REMIND_S = 300.0


class Outage:
    """Told of by every thread that calls; `away` may be read by any. It tells that a kind of call fails, with the cause,
    then seldom that it still does, and once that it goes again."""

    def __init__(
        self,
        name: str,
        tell: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
        remind: float = REMIND_S,
    ) -> None:
        """`remind`: seconds. What comes and goes is told no more often either."""
        self._name = name
        self._tell = tell
        self._seldom = Seldom(monotonic, remind)
        self._failing: dict[str, str] = {}
        self._told: set[str] = set()
        self._lock = threading.Lock()

    @property
    def away(self) -> str | None:
        """One line while calls fail."""
        return next(iter(self._failing.copy().values()), None)

    def complained(self, call: str, line: str) -> None:
        """`call`: its kind, such as `receive`."""
        with self._lock:
            self._failing[call] = line
            times = self._seldom.due(call)
            if times:
                self._told.add(call)
        if times:
            self._tell(line if times == 1 else f"{line} ({times} times since this was last said)")

    def answered(self, call: str) -> None:
        if call not in self._failing:
            return
        with self._lock:
            known = self._failing.pop(call, None)
            told = call in self._told
            self._told.discard(call)
        if known is not None and told:
            self._tell(f"{self._name}: {call} is answered again")
