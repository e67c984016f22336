"""What takes longer than people wait in silence is said once."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SAY_AFTER_S = 2.0


@contextmanager
def said_when_slow(line: str, tell: Callable[[str], None], after: float | None = None) -> Iterator[None]:
    """Tells `line`, from another thread, when what is inside takes longer than `after` seconds, SAY_AFTER_S by default."""
    timer = threading.Timer(SAY_AFTER_S if after is None else after, tell, [line])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
