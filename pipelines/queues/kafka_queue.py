"""The job queue on Kafka. A topic's offsets move on with every settle, whatever the verdict: what runs again is sent again by
the sweeper when its row is due, so that no partition ever waits for a retry."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from pipelines.ports import Delivery, Message
from pipelines.queues.kafka_inbox import Inbox
from pipelines.queues.kafka_ledger import Partition, Receipt
from pipelines.queues.kafka_polling import Polling
from pipelines.store.port import StoreAway
from schemas.strays import Stray
from schemas.verdicts import Verdict

Keep = Callable[[Sequence[Stray]], None]
"""Where strays are kept, once each. Raises StoreAway: it is called again."""


class KafkaQueue:
    """See `pipelines.ports.Queue`. Between `open` and `close`, a thread of its own polls."""

    def __init__(self, inbox: Inbox, polling: Polling, keep: Keep) -> None:
        self._inbox = inbox
        self._polling = polling
        self._keep = keep
        self._strays: list[tuple[Receipt, Stray]] = []

    def open(self, on_arrival: Callable[[], None]) -> None:
        """`on_arrival` is called, from the polling thread, when there may be something to receive."""
        self._polling.on_arrival = on_arrival
        self._polling.start()

    @property
    def away(self) -> str | None:
        """One line while no broker answers."""
        return self._polling.presence.away

    @property
    def lag(self) -> Mapping[Partition, int]:
        """Messages not settled in each partition that is ours, as of a second ago."""
        return self._polling.lag

    def close(self) -> None:
        """What was settled is committed; what was not comes again, here or elsewhere."""
        self._polling.stop()

    def receive(self, most: int) -> list[Delivery]:
        """Never waits. Raises StoreAway while strays cannot be kept, and what ended the polling thread."""
        if self._polling.fault is not None:
            raise self._polling.fault
        self._keep_strays()
        deliveries = []
        for arrival in self._inbox.take(most):
            if isinstance(arrival.found, Message):
                deliveries.append(Delivery(arrival.receipt, arrival.found))
            else:
                self._strays.append((arrival.receipt, arrival.found))
        with suppress(StoreAway):  # what came along is not held up; the next receive tries again
            self._keep_strays()
        return deliveries

    def extend(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Kafka has no leases: what is ours stays so until its partition goes."""
        held = self._inbox.holding([delivery.receipt for delivery in deliveries])
        return [delivery for delivery, ours in zip(deliveries, held, strict=True) if ours]

    def settle(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        self._inbox.settle([delivery.receipt for delivery, _ in settled])

    def _keep_strays(self) -> None:
        """A partition moves on past them only once they are kept."""
        if not self._strays:
            return
        self._keep([stray for _, stray in self._strays])
        self._inbox.settle([receipt for receipt, _ in self._strays])
        self._strays = []
