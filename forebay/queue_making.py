"""Making the job queue of these settings: `forebay queue create`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from forebay.kafka_address import KafkaAddress
from forebay.queue_address import QueueAddress
from forebay.queues import module_of
from forebay.settings import Settings
from forebay.sqs_address import SqsAddress
from pipelines.sqs.faults import SqsFault

if TYPE_CHECKING:
    from pipelines.sqs.creation import Ensured

Record = dict[str, Any]


def make(settings: Settings, at: QueueAddress, pools: Sequence[str], receives: int, update: bool) -> Iterator[Record]:
    """One record for each queue or topic. Raises SqsFault, KafkaFault."""
    module_of(at)  # or say which client is not installed
    match at:
        case SqsAddress():
            yield from _on_sqs(settings, at, pools, receives, update)
        case KafkaAddress():
            yield from _on_kafka(settings, at, pools)


def _on_sqs(settings: Settings, at: SqsAddress, pools: Sequence[str], receives: int, update: bool) -> Iterator[Record]:
    from forebay import sqs_queues
    from pipelines.sqs.client import connect
    from pipelines.sqs.creation import Wish, ensure

    client = connect(sqs_queues.endpoint_of(at), at.parallel, sqs_queues.ANSWERS_WITHIN_S)
    wish = Wish(sqs_queues.visibility_of(settings.lease), receives)
    for queue in dict.fromkeys(at.queue_of(pool) for pool in pools):
        try:
            yield _shown(ensure(client, queue, wish, update))
        except SqsFault as fault:
            raise type(fault)(f"queue {queue.name!r} of FOREBAY_QUEUE: {fault}; {_look_at(at)}") from fault


def _look_at(at: SqsAddress) -> str:
    """What is wrong most often when nothing can be made."""
    region = "that the region of AWS_DEFAULT_REGION is the queue's" if at.region is None else f"?region={at.region}"
    return f"check {region}" + ("" if at.endpoint is None else f" and &endpoint={at.endpoint}")


def _shown(ensured: "Ensured") -> Record:
    status = "made" if ensured.queue in ensured.made else "changed" if ensured.changed else "there"
    return {
        "queue": ensured.queue,
        "dead_letter_queue": ensured.dead,
        "status": status,
        "made": ensured.made,
        "changed": _pairs(ensured.changed),
        "differs": _pairs(ensured.differs),
    }


def _pairs(found: dict[str, tuple[str, str]]) -> dict[str, dict[str, str]]:
    return {name: {"was": was, "wanted": wanted} for name, (was, wanted) in found.items()}


def _on_kafka(settings: Settings, at: KafkaAddress, pools: Sequence[str]) -> Iterator[Record]:
    from forebay.kafka_queues import cluster_of
    from pipelines.kafka.faults import KafkaRefused
    from pipelines.kafka.topics import Creation, ensure

    cluster = cluster_of(settings, at)
    for topic in dict.fromkeys(at.topic_of(pool) for pool in pools):
        try:
            status, found = "there", ensure(cluster, [topic], None)
        except KafkaRefused:  # it is missing, or may not be seen: then it may not be made either
            creation = Creation() if at.partitions is None else Creation(at.partitions)
            status, found = "made", ensure(cluster, [topic], creation)
        yield {"topic": topic, "partitions": found[topic], "status": status}
