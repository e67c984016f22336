"""SQS's own dead-letter queue, drained: what SQS gave up is made a dead letter of ours, where it is seen and can be replayed.
Several queues may share one: what came from another than ours is left there."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from pipelines.queues.sqs_calls import Calls
from pipelines.queues.sqs_inbox import Arrival, Receipt
from pipelines.queues.sqs_messages import SENT_TO, SYSTEM_ATTRIBUTES
from pipelines.queues.sqs_receiving import arrivals
from pipelines.sqs.client import MOST
from pipelines.sqs.errors import RAISED
from pipelines.sqs.queues import name_of


class DeadQueue(Struct, frozen=True):
    url: str
    receives: int
    """After which SQS moves a message here (maxReceiveCount)."""
    source: str = ""
    """ARN of the job queue; empty: all that lies here is ours."""


class Drained(Struct, frozen=True):
    ours: Sequence[Arrival] = ()
    others: Sequence[Receipt] = ()
    """Of messages that another queue gave up, to be given back."""


def receive_dead(calls: Calls, dead: DeadQueue, visibility: int) -> Drained:
    """At most ten; none while SQS does not answer. Raises nothing."""
    try:
        answer = calls.client.receive_message(
            QueueUrl=dead.url,
            MaxNumberOfMessages=MOST,
            VisibilityTimeout=visibility,
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=SYSTEM_ATTRIBUTES,
            MessageAttributeNames=("All",),
        )
    except RAISED as fault:
        calls.presence.failed("receive dead letters", fault, f"queue {name_of(dead.url)!r}")
        return Drained()
    calls.presence.answered("receive dead letters")
    messages, now = answer.get("Messages") or (), calls.monotonic()
    ours = [received for received in messages if _is_ours(received, dead)]
    others = [Receipt(dead.url, received["ReceiptHandle"], now) for received in messages if received not in ours]
    return Drained(arrivals({"Messages": ours}, dead.url, now, given_up=dead.receives), others)


def _is_ours(received: Any, dead: DeadQueue) -> bool:
    """Only what somebody put here by hand does not say where it came from."""
    return not dead.source or (received.get("Attributes") or {}).get(SENT_TO, dead.source) == dead.source
