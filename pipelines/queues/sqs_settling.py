"""Deleting what was settled, in tens, by threads of its own: the recorder never waits for SQS."""

import threading
from collections import deque
from collections.abc import Callable, Sequence

from tenacity import (
    Retrying,
    retry_if_result,
    sleep_using_event,
    stop_after_delay,
    stop_any,
    stop_when_event_set,
    wait_random_exponential,
)

from pipelines.queues.sqs_calls import Calls, delete
from pipelines.sqs.client import MOST

LINGER_S = 0.01
"""A batch of fewer than ten waits so long for more."""
RETRIES_S = 10.0
"""What could not be deleted by then is left to be delivered again: that repeats a claim that is refused."""
MOST_WAITING = 100_000
_LOOK_S = 1.0


class Settling:
    def __init__(self, calls: Calls, threads: int, tell: Callable[[str], None]) -> None:
        self._calls = calls
        self._tell = tell
        self._waiting: dict[str, deque[str]] = {}
        self._open = 0
        """Waiting, and being deleted."""
        self._changed = threading.Condition()
        self._closing = False
        self._over = threading.Event()
        """Nobody waits any more: no more retries."""
        self._threads = [calls.threads.make(f"settle-{number}", self._loop) for number in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def put(self, queue: str, handles: Sequence[str]) -> None:
        """Never waits."""
        with self._changed:
            fitting = handles[: max(0, MOST_WAITING - self._open)]
            self._waiting.setdefault(queue, deque()).extend(fitting)
            self._open += len(fitting)
            self._changed.notify(1 + len(fitting) // MOST)

    def close(self, within: float) -> None:
        """What waits is deleted, for at most so many seconds; the rest is delivered again."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: not self._open, within):
                self._tell(f"sqs: {self._open} settled messages could not be deleted: they come again, and are refused")
        self._over.set()

    def _loop(self) -> None:
        while (batch := self._next()) is not None:
            queue, handles = batch
            try:
                self._delete(queue, handles)
            finally:
                with self._changed:
                    self._open -= len(handles)
                    self._changed.notify_all()

    def _next(self) -> tuple[str, list[str]] | None:
        """None: closed, and nothing waits."""
        with self._changed:
            while not (queue := self._fullest()):
                if self._closing:
                    return None
                self._changed.wait(_LOOK_S)
            if len(self._waiting[queue]) < MOST and not self._closing:
                self._changed.wait_for(lambda: self._closing or len(self._waiting[queue]) >= MOST, LINGER_S)
            waiting = self._waiting[queue]
            return queue, [waiting.popleft() for _ in range(min(MOST, len(waiting)))]

    def _fullest(self) -> str | None:
        queue = max(self._waiting, key=lambda queue: len(self._waiting[queue]), default=None)
        return queue if queue is not None and self._waiting[queue] else None

    def _delete(self, queue: str, handles: list[str]) -> None:
        left = delete(self._calls, queue, handles) if handles else []
        if left:
            left = self._again(queue, left)
        if left:
            self._tell(f"sqs: {len(left)} settled messages could not be deleted: they come again, and are refused")

    def _again(self, queue: str, left: list[str]) -> list[str]:
        def once() -> list[str]:
            left[:] = delete(self._calls, queue, left)
            return left

        retrying = Retrying(
            stop=stop_any(stop_after_delay(RETRIES_S), stop_when_event_set(self._over)),
            wait=wait_random_exponential(0.1, max=2.0),
            sleep=sleep_using_event(self._over),
            retry=retry_if_result(bool),
            retry_error_callback=lambda state: left,
        )
        return retrying(once)
