"""Where the job queue is, by the scheme of its address."""

from typing import TypeAlias

from forebay.kafka_address import KafkaAddress
from forebay.sqs_address import SqsAddress

QueueAddress: TypeAlias = KafkaAddress | SqsAddress
STORE = "store"
"""No address: the job table itself is the queue."""
_EXPECTED = "expected `store`, sqs://queue?region=… or kafka://host:port,host:port/topic"


def parse(queue: str) -> QueueAddress | None:
    """None: the store is the queue. Raises ValueError, one line, which never shows a password."""
    if queue == STORE:
        return None
    match queue.partition("://")[0]:
        case "kafka":
            return KafkaAddress.parse(queue)
        case "sqs" | "https" | "http":
            return SqsAddress.parse(queue)
        case _:
            raise ValueError(_EXPECTED)
