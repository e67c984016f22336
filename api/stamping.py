"""Stamping what the broker confirmed: many messages in one transaction, and late. A row that was claimed meanwhile needs none,
and that is nearly every row while workers keep up."""

import logging
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread

from pipelines.ports import Message
from pipelines.store.port import Store, StoreAway

EVERY = 1.0
"""Seconds; far below the time for which a new row is nobody else's to send."""
MOST = 1000
"""Rows of one transaction."""
log = logging.getLogger(__name__)


class Stamper:
    """A thread of its own. A stamp that is lost costs one more message, which wakes and harms nothing."""

    def __init__(self, store: Store, every: float = EVERY) -> None:
        self._store = store
        self._every = every
        self._confirmed: SimpleQueue[Sequence[Message]] = SimpleQueue()
        self._stopping = Event()

    def start(self) -> None:
        self._thread = Thread(target=self._serve, name="stamper", daemon=True)
        self._thread.start()

    def stop(self, within: float) -> None:
        """What was confirmed is stamped."""
        self._stopping.set()
        self._confirmed.put(())
        self._thread.join(within)

    def put(self, messages: Sequence[Message]) -> None:
        self._confirmed.put([Message(message.id, message.generation) for message in messages])  # without their inputs

    def _serve(self) -> None:
        while not self._stopping.is_set():
            first = self._confirmed.get()
            self._stopping.wait(self._every)
            self._stamp([*first, *self._rest()])
        self._stamp(self._rest())

    def _rest(self) -> list[Message]:
        found: list[Message] = []
        while True:
            try:
                found += self._confirmed.get_nowait()
            except Empty:
                return found

    def _stamp(self, messages: Sequence[Message]) -> None:
        try:
            for first in range(0, len(messages), MOST):
                self._store.stamp_sent(messages[first : first + MOST], never_claimed=True)
        except StoreAway:
            pass
        except Exception:
            log.exception("stamper: %d messages will be sent once more", len(messages))
