"""Topics: that they are there is checked at the start; they are made only when asked."""

from collections.abc import Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from msgspec import Struct

from pipelines.kafka.errors import error_of, is_refused, one_line
from pipelines.kafka.faults import KafkaAway, KafkaRefused
from pipelines.kafka.options import Kafka, admin

PATIENCE_S = 10.0


class Creation(Struct, frozen=True):
    """How a missing topic is made."""

    partitions: int = -1
    """-1: the broker's default."""
    replication: int = -1


def ensure(
    kafka: Kafka, topics: Iterable[str], creation: Creation | None, asked: str = "--create-topics"
) -> dict[str, int]:
    """Partitions of each of these topics; those that are missing are made when `creation` is given.

    Raises KafkaAway when no broker answers, KafkaRefused when a topic is missing or may not be seen. One line each.
    """
    wanted = list(dict.fromkeys(topics))
    causes: list[str] = []
    client = admin(kafka, error_cb=lambda error: causes.append(one_line(error)))
    found = _partitions(kafka, client, wanted, causes)
    missing = [topic for topic in wanted if topic not in found]
    if not missing:
        return found
    if creation is None:
        raise KafkaRefused(
            f"kafka: no topic {missing[0]!r} at {kafka.bootstrap}; create it, or ask for it with {asked}"
        )
    _create(client, missing, creation)
    return {**found, **_partitions(kafka, client, missing, causes)}


def _partitions(kafka: Kafka, client: AdminClient, topics: Iterable[str], causes: list[str]) -> dict[str, int]:
    found = {}
    for topic in topics:
        try:
            metadata = client.list_topics(topic, timeout=PATIENCE_S).topics[topic]
        except KafkaException as fault:
            if is_refused(error_of(fault)):
                raise KafkaRefused(f"kafka {kafka.bootstrap}: {one_line(fault)}") from fault
            client.poll(0)  # brings in what went wrong on the connections
            cause = causes[0] if causes else one_line(fault)
            raise KafkaAway(f"kafka {kafka.bootstrap}: no broker answers: {cause}") from fault
        if metadata.error is None:
            found[topic] = len(metadata.partitions)
        elif metadata.error.code() not in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            raise KafkaRefused(f"kafka: topic {topic!r}: {one_line(metadata.error)}")
    return found


def _create(client: AdminClient, topics: Iterable[str], creation: Creation) -> None:
    new = [NewTopic(topic, creation.partitions, creation.replication) for topic in topics]
    for topic, made in client.create_topics(new, operation_timeout=PATIENCE_S).items():
        try:
            made.result(PATIENCE_S)
        except KafkaException as fault:
            if error_of(fault).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise KafkaRefused(f"kafka: topic {topic!r} cannot be made: {one_line(fault)}") from fault
