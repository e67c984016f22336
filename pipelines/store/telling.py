"""The sending half of notices: a thread of its own, so that nobody's commit waits for a hint."""

import threading
from collections.abc import Sequence
from typing import Protocol

_MOST = 100_000
"""Ids that wait to be told: beyond, those who wait for them find out by polling."""
_CLOSE_S = 2.0


class Way(Protocol):
    """How notices leave; called by one thread."""

    def send(self, work: bool, ended: Sequence[str]) -> None:
        """A notice is a hint: raises nothing. When it cannot be sent, who waits finds out by polling."""
        ...

    def close(self) -> None: ...


class Telling:
    """Any thread. What is asked for while a notice is under way goes out together with the next."""

    def __init__(self, way: Way, name: str) -> None:
        """`name`: of the thread, which begins with the first notice."""
        self._way = way
        self._name = name
        self._changed = threading.Condition()
        self._work = False
        self._ended: list[str] = []
        self._closing = False
        self._thread: threading.Thread | None = None

    def work(self) -> None:
        with self._changed:
            self._work = True
            self._wake()

    def ended(self, ids: Sequence[str]) -> None:
        with self._changed:
            if len(self._ended) < _MOST:
                self._ended.extend(ids)
            self._wake()

    def close(self) -> None:
        """What waits is still sent, for a moment."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_CLOSE_S)
        else:
            self._way.close()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        self._changed.notify()

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._ended or self._closing)
                work, ended = self._work, self._ended
                self._work, self._ended = False, []
                closing = self._closing
            self._way.send(work, ended)
            if closing:
                self._way.close()
                return
