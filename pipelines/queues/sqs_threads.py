"""The threads of the queue on SQS: none ends silently."""

from collections.abc import Callable
from threading import Thread


class Threads:
    """What ended one of them is a bug of ours, and kept."""

    def __init__(self) -> None:
        self.fault: BaseException | None = None
        """The first one; raised again by the next receive."""
        self.on_fault: Callable[[], None] = lambda: None

    def make(self, name: str, loop: Callable[[], None]) -> Thread:
        """Not started yet."""

        def guarded() -> None:
            try:
                loop()
            except BaseException as fault:  # noqa: BLE001  # raised again by the next receive
                self.fault = self.fault or fault
                self.on_fault()

        return Thread(target=guarded, name=f"forebay-sqs-{name}", daemon=True)
