"""What was lost with a queue: one that was missing and is there again was made anew, and is empty."""

from collections.abc import Callable, Sequence

from pipelines.sqs.faults import NoQueue, SqsFault

LATE_S = 10.0
"""Told so long after it is there again: rows are stamped as sent up to 5 s after their messages were."""


class Losses:
    """Told of by every thread that calls, by a queue's name; one of them asks. Nothing here needs a lock: what two threads
    tell at once is the same."""

    def __init__(self, models_of: Callable[[str], Sequence[str]], monotonic: Callable[[], float]) -> None:
        """`models_of`: whose jobs are sent to a queue."""
        self._models_of = models_of
        self._monotonic = monotonic
        self._missing: set[str] = set()
        self._back: dict[str, float] = {}

    def failed(self, queue: str, fault: SqsFault) -> None:
        if isinstance(fault, NoQueue):
            self._missing.add(queue)

    def answered(self, queue: str) -> None:
        if self._missing and queue in self._missing:
            self._missing.discard(queue)
            self._back[queue] = self._monotonic()

    def take(self) -> list[str]:
        """Models whose messages are gone, each loss once."""
        late = self._monotonic() - LATE_S
        queues = [queue for queue, since in list(self._back.items()) if since <= late]
        for queue in queues:
            self._back.pop(queue, None)
        return sorted({model for queue in queues for model in self._models_of(queue)})
