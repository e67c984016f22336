"""Telling the broker about committed rows: tried for a moment, and left to the sweeper when it fails."""

import logging
from collections.abc import Callable, Sequence
from queue import Empty, Full, Queue
from threading import Thread

from api.stamping import Stamper
from pipelines.ports import Message, Outlet
from pipelines.store.port import Store
from schemas.envelope import INLINE_BYTES
from schemas.jobs import Submission

PATIENCE = 0.25
"""Seconds after the commit within which a message may still be handed to the broker."""

LOOK_EVERY = 2.0
"""Seconds from look to look whether a broker that was away is back."""

_MOST = 1024
log = logging.getLogger(__name__)


class Sender:
    """A thread of its own, so that a slow broker delays no commit. What it leaves has no `sent_at`: the sweeper sends it."""

    def __init__(
        self, outlet: Outlet, store: Store, monotonic: Callable[[], float], look_every: float = LOOK_EVERY
    ) -> None:
        """`look_every`: seconds."""
        self._outlet = outlet
        self._stamper = Stamper(store, monotonic)
        self._monotonic = monotonic
        self._look_every = look_every
        self._queue: Queue[tuple[float, Message] | None] = Queue(maxsize=10_000)
        self.degraded = False
        """Whether the last messages were left to the sweeper."""

    def start(self) -> None:
        self._stamper.start()
        self._thread = Thread(target=self._serve, name="sender", daemon=True)
        self._thread.start()

    def stop(self, within: float = 1.0) -> None:
        try:
            self._queue.put(None, timeout=within)
            self._thread.join(within)
        except Full:
            pass
        self._stamper.stop(within)

    def send(self, submissions: Sequence[Submission]) -> None:
        until = self._monotonic() + PATIENCE
        messages = [message_of(submission) for submission in submissions]
        for place, message in enumerate(messages):
            try:
                self._queue.put_nowait((until, message))
            except Full:
                self.degraded = True
                self._stamper.left(messages[place:])
                return

    def _serve(self) -> None:
        while (first := self._next()) is not None:
            now = self._monotonic()
            waiting = [first, *self._gather()]
            messages = [message for until, message in waiting if until >= now]
            if len(messages) < len(waiting):
                self.degraded = True
                self._stamper.left([message for until, message in waiting if until < now])
            if messages:
                self._deliver(messages)

    def _next(self) -> tuple[float, Message] | None:
        """The next message. While the broker is away and nobody submits, it is asked now and then whether it is back."""
        while self.degraded:
            try:
                return self._queue.get(timeout=self._look_every)
            except Empty:
                self.degraded = not self._outlet.answers()
        return self._queue.get()

    def _gather(self) -> list[tuple[float, Message]]:
        found: list[tuple[float, Message]] = []
        while len(found) < _MOST:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if item is None:
                self._queue.put(None)
                break
            found.append(item)
        return found

    def _deliver(self, messages: list[Message]) -> None:
        try:
            confirmed = self._outlet.send(messages)
            sent = [message for message, ok in zip(messages, confirmed, strict=True) if ok]
            self._stamper.confirmed(sent)
            self.degraded = len(sent) < len(messages)
            if self.degraded:
                self._stamper.left([message for message, ok in zip(messages, confirmed, strict=True) if not ok])
        except Exception:
            self.degraded = True
            self._stamper.left(messages)
            log.exception("sender: %d messages are left to the sweeper", len(messages))


def message_of(submission: Submission) -> Message:
    small = 0 < len(submission.inputs) <= INLINE_BYTES  # none: it was put elsewhere, and the row names it
    inputs = submission.inputs if small else None
    return Message(submission.id, 0, inputs, submission.model, submission.traceparent)
