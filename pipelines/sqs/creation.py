"""Making a job queue: the queue, its dead-letter queue, and the RedrivePolicy between them."""

from typing import Any, Protocol

import msgspec
from msgspec import Struct

from pipelines.sqs.client import Sqs
from pipelines.sqs.errors import RAISED, fault_of
from pipelines.sqs.faults import NoQueue
from pipelines.sqs.names import Named
from pipelines.sqs.queues import attributes_of, redrive_of, url_of

RETENTION_S = 14 * 86_400
"""The longest that SQS has; a message that is lost all the same is sent again by sweeping."""
_FIFO = {"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}


class Making(Sqs, Protocol):
    def create_queue(self, **asked: Any) -> Any: ...
    def set_queue_attributes(self, **asked: Any) -> Any: ...


class Wish(Struct, frozen=True):
    visibility: int
    """Seconds. Workers say it with every receive; the queue's own holds for others."""
    receives: int
    """maxReceiveCount."""


class Ensured(Struct, frozen=True):
    """What there is now."""

    queue: str
    dead: str
    """Its dead-letter queue."""
    made: list[str]
    """Names of the queues that were made just now."""
    changed: dict[str, tuple[str, str]]
    """Attributes that were changed just now: what they were, what they are."""
    differs: dict[str, tuple[str, str]]
    """Attributes that are not as wished, and were left so: what they are, what was wished."""


def ensure(client: Making, queue: Named, wish: Wish, update: bool) -> Ensured:
    """Make what is missing; change what differs only when `update`. Again, it does nothing more.

    Raises SqsAway, SqsRefused; one line.
    """
    made: list[str] = []
    kind = _FIFO if queue.fifo else {}
    dead_url = _there_or_made(client, queue.dead, {**kind, "MessageRetentionPeriod": str(RETENTION_S)}, made)
    arn = attributes_of(client, dead_url, ("QueueArn",))["QueueArn"]
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": str(wish.receives)}
    wanted = {"VisibilityTimeout": str(wish.visibility), "RedrivePolicy": msgspec.json.encode(policy).decode()}
    url = _there_or_made(client, queue, {**kind, "MessageRetentionPeriod": str(RETENTION_S), **wanted}, made)
    differing = {} if queue.name in made else _differing(client, url, wanted, arn, wish)
    if differing and update:
        _set(client, url, {name: wanted[name] for name in differing})
        return Ensured(queue.name, queue.dead.name, made, differing, {})
    return Ensured(queue.name, queue.dead.name, made, {}, differing)


def _there_or_made(client: Making, queue: Named, attributes: dict[str, str], made: list[str]) -> str:
    """Its URL."""
    try:
        return url_of(client, queue)
    except NoQueue:
        pass
    try:
        url = client.create_queue(QueueName=queue.name, Attributes=attributes)["QueueUrl"]
    except RAISED as fault:
        raise fault_of(fault, f"making queue {queue.name!r}") from fault
    made.append(queue.name)
    return str(url)


def _differing(client: Making, url: str, wanted: dict[str, str], arn: str, wish: Wish) -> dict[str, tuple[str, str]]:
    there = attributes_of(client, url, ("VisibilityTimeout", "RedrivePolicy"))
    redrive = redrive_of(there)
    found = {}
    if there.get("VisibilityTimeout") != wanted["VisibilityTimeout"]:
        found["VisibilityTimeout"] = (there.get("VisibilityTimeout", "none"), wanted["VisibilityTimeout"])
    if redrive is None or (redrive.arn, redrive.receives) != (arn, wish.receives):
        found["RedrivePolicy"] = (there.get("RedrivePolicy", "none"), wanted["RedrivePolicy"])
    return found


def _set(client: Making, url: str, attributes: dict[str, str]) -> None:
    try:
        client.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    except RAISED as fault:
        raise fault_of(fault, f"queue {url.rpartition('/')[2]!r}: setting its attributes") from fault
