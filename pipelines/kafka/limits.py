"""How large a record a topic takes."""

from collections.abc import Iterable

from confluent_kafka import KafkaException
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType

from pipelines.kafka.options import Kafka, admin

PATIENCE_S = 10.0
OVERHEAD = 256
"""Bytes of a record beside value, key and headers of the record read: the batch around it, and headers of ours."""


def largest_records(kafka: Kafka, topics: Iterable[str]) -> dict[str, int]:
    """Bytes of value, key and headers together that each topic takes (max.message.bytes). A topic whose settings may not
    be seen is missing."""
    if not (wanted := list(dict.fromkeys(topics))):
        return {}
    client = admin(kafka)
    asked = client.describe_configs([ConfigResource(ResourceType.TOPIC, topic) for topic in wanted])
    found = {}
    for resource, future in asked.items():
        try:
            entry = future.result(PATIENCE_S).get("max.message.bytes")
        except KafkaException:  # not allowed, or an old broker: then the broker's word comes with the record
            continue
        if entry is not None and entry.value:
            found[resource.name] = int(entry.value) - OVERHEAD
    return found
