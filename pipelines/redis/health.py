"""Whether Redis can be used right now. One per process, shared by all that use it, with a pulse in a thread of its own.

After a fault nobody asks Redis again until the pulse went through, a second later at the soonest: everything that uses
Redis has another way, and takes it meanwhile. What stands in readiness and in the log changes more slowly: once when Redis
goes, once when it has come back to stay.
"""

import threading
from collections.abc import Callable

from redis.exceptions import TimeoutError

from pipelines.redis.address import RedisPlace
from pipelines.redis.connecting import FAULTS, connect, one_line

PULSE_S = 1.0
_TIMEOUT_S = 1.0
SLOW_S = 0.2
"""Two pulses in a row that take longer tell of a Redis that is no help: the store is quicker."""
_CALM_S = 5.0
"""Without a fault for so long, it is back."""
_EFFECT = "results come from the store, notices by its way"


class Health:
    """Any thread may ask and tell."""

    def __init__(
        self, at: RedisPlace, tell: Callable[[str], None], monotonic: Callable[[], float], timeout: float = _TIMEOUT_S
    ) -> None:
        self._at = at
        self._tell = tell
        self._monotonic = monotonic
        self._client = connect(at, timeout)
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._faulted_at = float("-inf")
        self._slow = 0
        """Pulses in a row."""
        self.usable = True
        """Without it, take the other way and do not ask."""
        self.fault: str | None = None
        """One line while it is away, for readiness."""

    def start(self) -> None:
        """Begin the pulse. Without it, one fault is the end of using Redis: for a command that is soon over."""
        self._thread = threading.Thread(target=self._serve, name="forebay-redis", daemon=True)
        self._thread.start()

    def failed(self, fault: BaseException) -> None:
        """A call to Redis came to nothing. One that was only late is the pulse's to judge."""
        with self._lock:
            self.usable = False
            self._faulted_at = self._monotonic()
            if not isinstance(fault, TimeoutError):
                self._away(one_line(fault))
        self._hurry.set()

    def beat(self) -> None:
        """One pulse: it writes and publishes, so that a Redis that is full, read-only or not ours to write is found."""
        begun = self._monotonic()
        try:
            with self._client.pipeline(transaction=False) as pulse:
                pulse.set(self._at.key("pulse"), b"1", px=10_000)
                pulse.publish(self._at.key("pulse"), b"")
                pulse.execute()
        except FAULTS as fault:
            with self._lock:
                self.usable = False
                self._faulted_at = self._monotonic()
                self._away(one_line(fault))
            return
        took = self._monotonic() - begun
        with self._lock:
            self._beaten(took)

    def close(self) -> None:
        self._closing = True
        self._hurry.set()
        if self._thread is not None:
            self._thread.join(2 * _TIMEOUT_S + 1)
        self._client.close()

    def _beaten(self, took: float) -> None:
        now = self._monotonic()
        self._slow = self._slow + 1 if took > SLOW_S else 0
        if self._slow > 1:
            self.usable = False
            self._faulted_at = now
            self._away(f"it answers in {took * 1000:.0f} ms")
            return
        if now - self._faulted_at >= PULSE_S:
            self.usable = True
        if self.fault is not None and now - self._faulted_at >= _CALM_S:
            self.fault = None
            self._tell(f"redis: {self._at}: it is back")

    def _away(self, why: str) -> None:
        line = f"redis: {self._at}: {why}; {_EFFECT}"
        if self.fault is None:
            self._tell(line)
        self.fault = line

    def _serve(self) -> None:
        while not self._closing:
            self._hurry.clear()
            self.beat()
            self._hurry.wait(PULSE_S)
