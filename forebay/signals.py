"""Signals of a worker: the first SIGTERM or SIGINT drains, the second stops hard."""

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

STOPS = (signal.SIGTERM, signal.SIGINT)
_OVER = signal.SIGUSR1
"""What the serving thread tells the main thread when it ends."""
HARD_EXIT = 130


def run_until_signal(serve: Callable[[], T], stop: Callable[[], None]) -> T:
    """Run `serve` in a thread and wait for it here. The main thread only waits for signals, so that no handler ever runs
    in the middle of somebody's lock; a second signal ends the process at once: leases do the rest.

    It waits without a time-out: CPython's sigtimedwait answers a signal that never came when the process was frozen
    (SIGSTOP, a debugger) past its time-out, and a thawed worker would drain.
    """
    over = threading.Event()
    result: list[T] = []
    fault: list[BaseException] = []

    def work() -> None:
        try:
            result.append(serve())
        except BaseException as raised:  # noqa: BLE001  # raised again below
            fault.append(raised)
        finally:
            over.set()
            signal.pthread_kill(main, _OVER)

    main = threading.get_ident()
    waited_for = (*STOPS, _OVER)
    signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    thread = threading.Thread(target=work, name="forebay-supervisor")
    thread.start()
    stopping = False
    while not over.is_set():
        if signal.sigwait(waited_for) == _OVER:
            continue
        if stopping:
            sys.stderr.write("forebay: stopped hard; what was running is taken up when its leases end\n")
            os._exit(HARD_EXIT)
        stopping = True
        stop()
    thread.join()
    if fault:
        raise fault[0]
    return result[0]
