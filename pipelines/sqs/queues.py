"""Queues by name, and their attributes."""

from typing import Any

import msgspec
from msgspec import Struct

from pipelines.sqs.client import Sqs
from pipelines.sqs.errors import RAISED, fault_of
from pipelines.sqs.names import Named


class Redrive(Struct, frozen=True):
    """A queue's RedrivePolicy."""

    arn: str
    """Of its dead-letter queue."""
    receives: int
    """A message that was received more often goes there."""

    @property
    def target(self) -> Named:
        _, _, _, _, account, name = self.arn.split(":", 5)
        return Named(name, account)


def url_of(client: Sqs, queue: Named) -> str:
    """Raises NoQueue, SqsRefused, SqsAway; one line."""
    asked: dict[str, Any] = {"QueueName": queue.name}
    if queue.account is not None:
        asked["QueueOwnerAWSAccountId"] = queue.account
    try:
        return str(client.get_queue_url(**asked)["QueueUrl"])
    except RAISED as fault:
        raise fault_of(fault, f"queue {queue.name!r}") from fault


def attributes_of(client: Sqs, url: str, names: tuple[str, ...]) -> dict[str, str]:
    """Raises NoQueue, SqsRefused, SqsAway; one line. What a queue does not have is missing."""
    try:
        answer = client.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))
    except RAISED as fault:
        raise fault_of(fault, f"queue {name_of(url)!r}") from fault
    found: dict[str, str] = answer.get("Attributes") or {}
    return found


def redrive_of(attributes: dict[str, str]) -> Redrive | None:
    """None: what is received for ever is never given up."""
    text = attributes.get("RedrivePolicy")
    if not text:
        return None
    policy = msgspec.json.decode(text)
    return Redrive(policy["deadLetterTargetArn"], int(policy["maxReceiveCount"]))


def name_of(url: str) -> str:
    return url.rpartition("/")[2]
