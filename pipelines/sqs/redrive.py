"""What is wanted of a queue's RedrivePolicy."""

from pipelines.sqs.names import Named
from pipelines.sqs.queues import Redrive

ENOUGH = 4
"""Receives per delivery that a model allows: the neighbours of an item that takes its worker down are received again with
it, and so is what a drain or a frozen worker leaves."""


def advice(queue: Named, redrive: Redrive | None, deliveries: int) -> str | None:
    """One line when the policy is not what is wanted. `deliveries`: the highest max_deliveries of the models."""
    if redrive is None:
        return (
            f"sqs: queue {queue.name!r} has no RedrivePolicy: a message that SQS can never have deleted comes for ever; "
            "`forebay queue create --update` sets one"
        )
    if redrive.receives < ENOUGH * deliveries:
        return (
            f"sqs: queue {queue.name!r}: maxReceiveCount is {redrive.receives}, and limits.max_deliveries {deliveries}: "
            f"jobs whose workers die may be given up for their neighbours' sake; expected at least {ENOUGH * deliveries}"
        )
    return None
