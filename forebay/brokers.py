"""What a job queue on a broker is made of, whichever broker it is."""

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct
from prometheus_client.registry import Collector

from pipelines.ports import Outlet, Queue
from pipelines.queues.strangers import Strangers

Tell = Callable[[str], None]


class BrokerOutlet(Outlet, Protocol):
    @property
    def away(self) -> str | None:
        """One line since something was not confirmed, until it is."""

    def close(self) -> None: ...


class BrokerQueue(Queue, Protocol):
    """Between `open` and `close` it has threads of its own."""

    def open(self, on_arrival: Callable[[], None]) -> None:
        """`on_arrival` is called from any thread when there may be something to receive."""

    def close(self) -> None: ...

    @property
    def away(self) -> str | None:
        """One line while the broker does not answer."""


class Broker(Struct, frozen=True):
    """A worker's."""

    queue: BrokerQueue
    outlet: BrokerOutlet
    gauges: Collector
    """How much lies in the queue."""


class Wanted(Struct, frozen=True):
    """What a worker asks of its queue."""

    credits: int
    """Jobs that it holds at once."""
    deliveries: int
    """The highest max_deliveries of its models."""
    strangers: Strangers
    """Where what other services put there goes."""
