"""The job queue on SQS. A message is deleted with every settle, whatever the verdict: what runs again is sent again by the
sweeper when its row is due. Until then it is invisible to others, for a lease at a time."""

from collections.abc import Callable, Sequence

from pipelines.ports import Delivery
from pipelines.queues.sqs_calls import Calls, set_visibility
from pipelines.queues.sqs_inbox import Arrival, Inbox, Receipt
from pipelines.queues.sqs_receiving import Plan, Receiving
from pipelines.queues.sqs_settling import Settling
from pipelines.queues.sqs_tending import Depth, Tending
from pipelines.queues.strangers import Strangers
from schemas.verdicts import Verdict

STOPS_WITHIN_S = 1.5
SETTLES_WITHIN_S = 5.0


class SqsQueue:
    """See `pipelines.ports.Queue`. Between `open` and `close`, threads of its own receive and delete."""

    def __init__(
        self, calls: Calls, plan: Plan, inbox: Inbox, receiving: Receiving, settling: Settling, tending: Tending,
        strangers: Strangers,
    ) -> None:  # fmt: skip
        self._calls = calls
        self._plan = plan
        self._inbox = inbox
        self._receiving = receiving
        self._settling = settling
        self._tending = tending
        self._strangers = strangers
        self._closed = False

    def open(self, on_arrival: Callable[[], None]) -> None:
        """`on_arrival` is called, from a thread of the queue, when there may be something to receive."""
        self._receiving.on_arrival = self._tending.on_arrival = self._calls.threads.on_fault = on_arrival
        self._settling.start()
        self._receiving.start()
        self._tending.start()

    @property
    def away(self) -> str | None:
        """One line while SQS does not answer, or refuses."""
        return self._calls.presence.away

    @property
    def depth(self) -> Depth:
        """Messages by queue and state, as SQS told some seconds ago."""
        return self._tending.depth

    def close(self, within: float = STOPS_WITHIN_S) -> None:
        """What was settled is deleted; what waits here is given back, and so is what still comes in: a receive that is
        under way is waited for, for at most `within` seconds."""
        self._receiving.stop(within)
        self._tending.stop(within)
        self._closed = True
        waiting = self._inbox.drop(lambda arrival: True)
        set_visibility(self._calls, [arrival.receipt for arrival in waiting], 0, STOPS_WITHIN_S)
        self._settling.close(SETTLES_WITHIN_S)
        self._calls.pool.shutdown(wait=False)

    def receive(self, most: int) -> list[Delivery]:
        """Never waits. Raises StoreAway while rows cannot be made or strays kept, and what ended a thread of the queue."""
        if (fault := self._calls.threads.fault) is not None:
            raise fault
        return self._strangers.receive(most, self._take, self._delete)

    def extend(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """For another visibility timeout each, within a third of it."""
        if self._closed:
            return []
        seconds = self._plan.visibility
        held = set_visibility(self._calls, [delivery.receipt for delivery in deliveries], seconds, seconds / 3)
        return [delivery for delivery in deliveries if delivery.receipt in held]

    def settle(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        """Never waits: they are deleted beside."""
        self._delete([delivery.receipt for delivery, _ in settled])

    def _take(self, most: int) -> list[Arrival]:
        return self._inbox.take(most, self._calls.monotonic() - self._plan.visibility / 2)

    def _delete(self, receipts: Sequence[Receipt]) -> None:
        by_queue: dict[str, list[str]] = {}
        for receipt in receipts:
            by_queue.setdefault(receipt.queue, []).append(receipt.handle)
        for queue, handles in by_queue.items():
            self._settling.put(queue, handles)
