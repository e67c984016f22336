"""Whether SQS answers."""

import time
from collections.abc import Callable

from pipelines.outage import REMIND_S, Outage
from pipelines.sqs.errors import Raised, fault_of


class Presence(Outage):
    def __init__(
        self, tell: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic, remind: float = REMIND_S
    ) -> None:
        super().__init__("sqs", tell, monotonic, remind)

    def failed(self, call: str, fault: Raised, where: str) -> None:
        """`call`: its kind, such as `receive`."""
        self.complained(call, str(fault_of(fault, f"{call}, {where}")))
