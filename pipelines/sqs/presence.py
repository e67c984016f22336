"""Whether SQS answers."""

import time
from collections.abc import Callable

from pipelines.outage import REMIND_S, Outage
from pipelines.sqs.errors import Raised, fault_of
from pipelines.sqs.faults import SqsFault


class Presence(Outage):
    def __init__(
        self, tell: Callable[[str], None], monotonic: Callable[[], float] = time.monotonic, remind: float = REMIND_S
    ) -> None:
        super().__init__("sqs", tell, monotonic, remind)

    def failed(self, call: str, fault: Raised, where: str) -> SqsFault:
        """`call`: its kind, such as `receive`. What the fault is."""
        found = fault_of(fault, f"{call}, {where}")
        self.complained(call, str(found))
        return found
