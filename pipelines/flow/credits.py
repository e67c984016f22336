"""Credits are the backpressure: no credit, no receive. Bounded in items and in bytes."""

import threading


class Credits:
    """Thread-safe. What was received is taken at once and given back when its verdict is settled.

    Sizes are known only after a receive, so the bytes may be overdrawn by one receive; then nothing is received until
    the balance is positive again. The queue bounds one receive in bytes itself.
    """

    def __init__(self, items: int, size: int) -> None:
        self._items = items
        self._bytes = size
        self._changed = threading.Condition()
        self._called = False

    def room(self) -> int:
        """How many items may be received now."""
        return self._items if self._bytes > 0 else 0

    def take(self, items: int, size: int) -> None:
        with self._changed:
            self._items -= items
            self._bytes -= size

    def give(self, items: int, size: int) -> None:
        with self._changed:
            self._items += items
            self._bytes += size
            self._changed.notify_all()

    def call(self) -> None:
        """Whoever waits, or is about to, need not wait for room: there is something else to do."""
        with self._changed:
            self._called = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> int:
        """Wait for room, or a call; returns the room."""
        with self._changed:
            if self.room() <= 0 and not self._called:
                self._changed.wait(timeout)
            self._called = False
            return self.room()
