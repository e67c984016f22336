"""What goes on beside the API, by threads of its own: it never ends before the process does."""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger("forebay")

PAUSE_S = 5.0
"""After a bug of ours: what brought it on may still be there."""


def repeat(
    name: str,
    step: Callable[[], object],
    wait: Callable[[], object],
    stopping: threading.Event,
    pause: float = PAUSE_S,
) -> threading.Thread:
    """A thread, not started yet, that steps and waits until `stopping` is set. A step that raises is told with its traceback,
    and made again after `pause` seconds."""

    def loop() -> None:
        while not stopping.is_set():
            try:
                step()
                wait()
            except Exception:
                log.exception("%s: unexpected error; it goes on in %g s", name, pause)
                stopping.wait(pause)

    return threading.Thread(target=loop, name=f"forebay-{name}", daemon=True)
