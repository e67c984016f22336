"""What became of messages, written into their rows: many in one transaction, and late. A row that was claimed meanwhile needs
no stamp, and that is nearly every row while workers keep up."""

import logging
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Thread

from pipelines.ports import Message
from pipelines.store.port import Store, StoreAway

EVERY = 5.0
"""Seconds; far below the time for which a new row is nobody else's to send."""
MOST = 1000
"""Rows of one transaction."""
log = logging.getLogger(__name__)

_Told = tuple[bool, Sequence[Message]]
"""Whether they were confirmed."""


class Stamper:
    """A thread of its own. A stamp that is lost costs one more message, which wakes and harms nothing."""

    def __init__(self, store: Store, monotonic: Callable[[], float], every: float = EVERY) -> None:
        self._store = store
        self._monotonic = monotonic
        self._every = every
        self._told: SimpleQueue[_Told | None] = SimpleQueue()

    def start(self) -> None:
        self._thread = Thread(target=self._serve, name="stamper", daemon=True)
        self._thread.start()

    def stop(self, within: float) -> None:
        """What was told is written."""
        self._told.put(None)
        self._thread.join(within)

    def confirmed(self, messages: Sequence[Message]) -> None:
        self._told.put(
            (True, [Message(message.id, message.generation) for message in messages])
        )  # without their inputs

    def left(self, messages: Sequence[Message]) -> None:
        """The broker has not confirmed these: they are the sweeper's to send, at once."""
        self._told.put((False, messages))

    def _serve(self) -> None:
        waiting: list[Message] = []
        due = 0.0
        while (told := self._next(due - self._monotonic() if waiting else None)) is not None:
            confirmed, messages = told
            if not confirmed:
                self._write(self._store.unhold, messages)
            elif messages:
                due = due if waiting else self._monotonic() + self._every
                waiting += messages
            if waiting and self._monotonic() >= due:
                self._write(self._stamp, waiting)
                waiting = []
        self._write(self._stamp, waiting)

    def _next(self, timeout: float | None) -> _Told | None:
        """None: it is over. Nothing, when nothing comes in time."""
        try:
            return self._told.get(timeout=None if timeout is None else max(0.0, timeout))
        except Empty:
            return True, ()

    def _stamp(self, messages: Sequence[Message]) -> None:
        self._store.stamp_sent(messages)

    def _write(self, work: Callable[[Sequence[Message]], None], messages: Sequence[Message]) -> None:
        try:
            for first in range(0, len(messages), MOST):
                work(messages[first : first + MOST])
        except StoreAway:
            pass  # their hold ends, and sweeping sends them once more
        except Exception:
            log.exception("stamper: %d messages may be sent once more", len(messages))
