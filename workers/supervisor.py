"""The supervisor: one process that receives, claims, packs, records and settles, and has a device compute.

Its threads only wait and call steps; what a step does is in `pipelines.flow`. The one replica here is the device thread.
A thread that hangs in a model's code (the replica's in a batch, the intake's in a hook) cannot be stopped from within: what
it was at is judged, everything else is drained, and the process ends with `EXIT_STUCK`, for whoever started it to start it again.
"""

import logging
import threading
import time
from collections.abc import Callable
from itertools import count

from msgspec import Struct

from pipelines.flow.worker import Worker
from pipelines.payloads.janitor import Janitor
from pipelines.payloads.port import PayloadsAway
from pipelines.store.notices import Notices
from pipelines.store.port import StoreAway

log = logging.getLogger("forebay.worker")

EXIT_STUCK = 70
POLL_S = 1.0
"""Without a notice, how often the queue is looked at."""
AWAY_S = 0.5
FETCHES = 8
"""Inputs fetched at once, each by a thread that does nothing but wait for the storage."""
DEPOSITS = 4
LEAST_GRACE_S = 1.0
MOST_RECORDING_S = 2.0
WATCH_S = 0.5
"""How often what calls a model's code is held against its time-out."""


class Ending(Struct, frozen=True):
    clean: bool
    """Everything that was taken in was recorded or given back."""
    stuck: bool = False


class Supervisor:
    def __init__(self, worker: Worker, notices: Notices, grace: float) -> None:
        """`grace`: seconds that a drain may take in all."""
        self._worker = worker
        self._notices = notices
        self._grace = max(LEAST_GRACE_S, grace)
        self._recording = min(MOST_RECORDING_S, self._grace / 4)
        """Seconds of the grace that are left for recording, whatever hangs."""
        self._stopping = threading.Event()
        self._drained = threading.Event()
        self._work = threading.Event()
        self._stuck: set[str] = set()
        """Threads that never come back."""
        self._fault: BaseException | None = None

    def run(self) -> Ending:
        """Serve until `stop`; then drain. Raises what broke a thread: our own bug."""
        unlisten = self._notices.listen(on_work=self._work.set)
        threads = {
            name: self._thread(name, loop)
            for name, loop in (
                ("intake", self._intake),
                ("device", self._device),
                ("recorder", self._recorder),
                ("heartbeat", self._heartbeat),
                ("sweeper", self._sweeper),
                *self._carriers(),
            )
        }
        for thread in threads.values():
            thread.start()
        self._stopping.wait()
        ending = self._drain(threads)
        unlisten()
        if self._fault is not None:
            raise self._fault
        return ending

    def stop(self) -> None:
        """Begin the drain; may be called from a signal handler."""
        self._stopping.set()
        self._work.set()

    def wake(self) -> None:
        """There may be something to receive. Called by a queue from a thread of its own."""
        self._work.set()

    def _drain(self, threads: dict[str, threading.Thread]) -> Ending:
        """Nothing new is received; what waits is given back, what runs is finished, and everything is recorded."""
        until = time.monotonic() + self._grace
        self._worker.buffer.wake()
        for name in ("intake", "device"):
            self._join(name, threads[name], until - self._recording)
        self._worker.give_back()
        clean = self._is_quiet(until)
        self._drained.set()
        self._worker.outbox.wake()
        threads["recorder"].join(_left(until))
        return Ending(
            clean=clean and not any(threads[name].is_alive() for name in ("intake", "device")), stuck=bool(self._stuck)
        )

    def _join(self, name: str, thread: threading.Thread, until: float) -> None:
        """Until it ends, is found to hang, or that time has come."""
        while thread.is_alive() and name not in self._stuck and (left := _left(until)) > 0:
            thread.join(min(WATCH_S, left))

    def _intake(self) -> None:
        while not self._stopping.is_set():
            room = self._worker.credits.wait(POLL_S)
            self._work.clear()  # before looking: a notice that comes while we look is not lost
            if not self._worker.intake.step() and room > 0:
                self._work.wait(POLL_S)

    def _device(self) -> None:
        worker = self._worker
        while not self._stopping.is_set() and not self._stuck:
            seen = worker.buffer.arrivals
            wait = worker.device.step()
            if wait is None:
                continue
            if wait.for_quiet:
                worker.outbox.wait_quiet(POLL_S)
            else:
                worker.buffer.wait(seen, POLL_S if wait.seconds is None else min(POLL_S, wait.seconds))

    def _recorder(self) -> None:
        while not self._drained.is_set():
            if not self._worker.recorder.step():
                self._worker.outbox.wait(POLL_S)

    def _heartbeat(self) -> None:
        """Beats until the drain is over; in between, the watchdog of what calls a model's code."""
        look = min(WATCH_S, self._worker.heartbeat.interval)
        looks_per_beat = round(self._worker.heartbeat.interval / look)
        for turn in count(1):
            if self._drained.wait(look):
                return
            if turn % looks_per_beat == 0:
                self._worker.heartbeat.step()
            for name, what in self._worker.judge_stuck().items():
                log.error("the model hangs (%s): what it was at is judged, the rest drained, this process ends", what)
                self._stuck.add(name)
                self.stop()

    def _sweeper(self) -> None:
        while not self._stopping.wait(self._worker.sweeper.plan.interval):
            self._worker.sweeper.step()

    def _carriers(self) -> list[tuple[str, Callable[[], None]]]:
        """Where there are payloads: who fetches inputs, puts results, and removes what is over."""
        fetcher, depositor, janitor = self._worker.fetcher, self._worker.depositor, self._worker.janitor
        found: list[tuple[str, Callable[[], None]]] = []
        if fetcher is not None:
            fetcher.on_fetched = self._fetched
            found += [(f"fetch-{n}", lambda: self._carry(fetcher.step)) for n in range(FETCHES)]
        if depositor is not None:
            found += [(f"deposit-{n}", lambda: self._carry(depositor.step)) for n in range(DEPOSITS)]
        if janitor is not None:
            found.append(("janitor", lambda: self._tidy(janitor)))
        return found

    def _carry(self, step: Callable[[float], int]) -> None:
        while not self._drained.is_set():
            step(POLL_S)

    def _tidy(self, janitor: Janitor) -> None:
        while not self._stopping.is_set():
            janitor.step()
            janitor.wait(POLL_S)

    def _fetched(self) -> None:
        self._worker.credits.call()
        self._work.set()

    def _is_quiet(self, until: float) -> bool:
        """Everything is recorded by then; at last, results that could not be put go back to be computed again."""
        outbox = self._worker.outbox
        if outbox.wait_quiet(_left(until - self._recording / 2)):
            return True
        outbox.release_large()
        return outbox.wait_quiet(_left(until))

    def _thread(self, name: str, loop: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._guarded, args=(loop,), name=f"forebay-{name}", daemon=True)

    def _guarded(self, loop: Callable[[], None]) -> None:
        """A store that is away is waited for. Anything else is a bug: it stops the process instead of one thread."""
        while True:
            try:
                return loop()
            except (StoreAway, PayloadsAway):
                if self._drained.wait(AWAY_S):
                    return None
            except BaseException as fault:  # noqa: BLE001  # raised again by run()
                self._fault = fault
                self._drained.set()
                self.stop()
                return None


def _left(until: float) -> float:
    """Seconds, none when it is past."""
    return max(0.0, until - time.monotonic())
