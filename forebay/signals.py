"""Signals of a worker: the first SIGTERM or SIGINT drains, the second stops hard."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

STOPS = (signal.SIGTERM, signal.SIGINT)
HARD_EXIT = 130
_OVER = b"\0"
"""What the serving thread writes where the signals' numbers arrive."""


def run_until_signal(serve: Callable[[], T], stop: Callable[[], None]) -> T:
    """Run `serve` in a thread and wait for it here, in the main thread, which does nothing else: no handler ever runs in
    the middle of somebody's lock. A second signal ends the process at once: leases do the rest.

    Signals come through the wakeup descriptor, whichever thread the kernel gives them to. Blocking them for sigwait would
    not do: threads that a model runtime made before do not block them and would end the process, and sigtimedwait
    answers a signal that never came after the process was frozen (SIGSTOP, a debugger) for longer than its time-out.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    result: list[T] = []
    fault: list[BaseException] = []

    def work() -> None:
        try:
            result.append(serve())
        except BaseException as raised:  # noqa: BLE001  # raised again below
            fault.append(raised)
        finally:
            os.write(write, _OVER)

    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in STOPS:
        signal.signal(number, _noted)
    thread = threading.Thread(target=work, name="forebay-supervisor")
    thread.start()
    _wait_for(read, stop)
    thread.join()
    signal.set_wakeup_fd(-1)
    os.close(read)
    os.close(write)
    if fault:
        raise fault[0]
    return result[0]


def _wait_for(read: int, stop: Callable[[], None]) -> None:
    stopping = False
    while (got := os.read(read, 1)) != _OVER:
        if got[0] not in STOPS:
            continue
        if stopping:
            sys.stderr.write("forebay: stopped hard; what was running is taken up when its leases end\n")
            os._exit(HARD_EXIT)
        stopping = True
        stop()


def _noted(number: int, frame: FrameType | None) -> None:
    """The number is in the pipe already. Stays to the end of the process: what is drained need not be killed."""
