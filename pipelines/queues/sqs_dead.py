"""SQS's own dead-letter queue, drained: what SQS gave up is made a dead letter of ours, where it is seen and can be replayed."""

from msgspec import Struct

from pipelines.queues.sqs_calls import Calls
from pipelines.queues.sqs_inbox import Arrival
from pipelines.queues.sqs_messages import SYSTEM_ATTRIBUTES
from pipelines.queues.sqs_receiving import arrivals
from pipelines.sqs.client import MOST
from pipelines.sqs.errors import RAISED
from pipelines.sqs.queues import name_of


class DeadQueue(Struct, frozen=True):
    url: str
    receives: int
    """After which SQS moves a message here (maxReceiveCount)."""


def receive_dead(calls: Calls, dead: DeadQueue, visibility: int) -> list[Arrival]:
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
        return []
    calls.presence.answered("receive dead letters")
    return arrivals(answer, dead.url, calls.monotonic(), given_up=dead.receives)
