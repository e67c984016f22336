"""Calls into librdkafka that may never return, whatever time-out they are given."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread


class Hung(Exception):
    """The call did not return. It goes on in a thread of its own, for which nobody waits."""


def bounded(call: Callable[[], object], seconds: float) -> None:
    """Call it, for at most so long. Raises what it raises, or Hung.

    `send_offsets_to_transaction` waits for its group's coordinator without looking at its time-out, and for ever when that
    broker was replaced meanwhile (librdkafka's issues 5456 and 5511, open in 2.16).
    """
    ended: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            call()
            ended.put(None)
        except BaseException as fault:  # noqa: BLE001  # raised again below
            ended.put(fault)

    Thread(target=run, name="forebay-bounded", daemon=True).start()
    try:
        fault = ended.get(timeout=seconds)
    except Empty:
        raise Hung(f"no answer within {seconds:g} s") from None
    if fault is not None:
        raise fault
