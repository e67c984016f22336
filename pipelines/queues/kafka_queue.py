"""The job queue on Kafka. A topic's offsets move on with every settle, whatever the verdict: what runs again is sent again by
the sweeper when its row is due, so that no partition ever waits for a retry."""

from collections.abc import Callable, Mapping, Sequence

from pipelines.ports import Delivery
from pipelines.queues.kafka_inbox import Inbox
from pipelines.queues.kafka_ledger import Partition
from pipelines.queues.kafka_polling import Polling
from pipelines.queues.strangers import Strangers
from schemas.verdicts import Verdict


class KafkaQueue:
    """See `pipelines.ports.Queue`. Between `open` and `close`, a thread of its own polls."""

    def __init__(self, inbox: Inbox, polling: Polling, strangers: Strangers) -> None:
        self._inbox = inbox
        self._polling = polling
        self._strangers = strangers

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
        """Never waits. Raises StoreAway while rows cannot be made or strays kept, and what ended the polling thread."""
        if self._polling.fault is not None:
            raise self._polling.fault
        return self._strangers.receive(most, self._inbox.take, self._inbox.settle)

    def extend(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Kafka has no leases: what is ours stays so until its partition goes."""
        held = self._inbox.holding([delivery.receipt for delivery in deliveries])
        return [delivery for delivery, ours in zip(deliveries, held, strict=True) if ours]

    def settle(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        self._inbox.settle([delivery.receipt for delivery, _ in settled])
