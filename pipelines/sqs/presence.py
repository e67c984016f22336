"""Whether SQS answers, by how the calls of each kind went last."""

import threading
from collections.abc import Callable

from pipelines.sqs.errors import Raised, fault_of
from pipelines.sqs.faults import SqsFault


class Presence:
    """Told of by every thread that calls; `away` may be read by any. It tells once that a kind of call fails, with the
    cause, and once that it goes again."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._failing: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def away(self) -> str | None:
        """One line while calls fail."""
        return next(iter(self._failing.copy().values()), None)

    def failed(self, call: str, fault: Raised, where: str) -> SqsFault:
        """`call`: its kind, such as `receive`. What the fault is."""
        found = fault_of(fault, f"{call}, {where}")
        line = str(found)
        with self._lock:
            known = call in self._failing
            self._failing[call] = line
        if not known:
            self._tell(line)
        return found

    def answered(self, call: str) -> None:
        if call not in self._failing:
            return
        with self._lock:
            known = self._failing.pop(call, None)
        if known is not None:
            self._tell(f"sqs: {call} is answered again")
