"""What the stream lane asks of librdkafka, and why."""

from pipelines.kafka.options import Kafka, Options, fixed

SESSION_MS = 10_000
"""A killed process's partitions move after this; longer than a restart takes."""
TRANSACTION_MS = 9_000
"""Shorter than the session: an orphan's transaction is over before its partitions are somebody else's."""
LARGEST_BATCH = 1_000_000
HELD_KB = 32 * 1024
"""Of records fetched ahead: memory stays the same whatever the lag."""


def consumer_options(kafka: Kafka, group: str, instance: str, start: str) -> Options:
    """`start`: earliest or latest, for a group that has no offsets yet. Raises KafkaRefused."""
    fixed(kafka, {"enable.auto.commit": False, "isolation.level": "read_committed", "enable.partition.eof": True})
    ours: Options = {
        "group.id": group,
        "group.instance.id": instance,
        "session.timeout.ms": SESSION_MS,
        "max.poll.interval.ms": 300_000,
        "auto.offset.reset": start,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,  # tells when the input is read to its end
        "isolation.level": "read_committed",  # also makes a new owner wait for the offsets of an open transaction
        "partition.assignment.strategy": "cooperative-sticky",
        "queued.max.messages.kbytes": HELD_KB,
        "queued.min.messages": 20_000,
        "fetch.queue.backoff.ms": 10,  # 1 s as shipped: a full queue, emptied in a moment, would wait for the rest of it
        "fetch.wait.max.ms": 50,
        "fetch.error.backoff.ms": 100,
    }
    options = kafka.with_options(ours)
    if str(options.get("group.protocol", "classic")).lower() == "consumer":
        for classic in ("session.timeout.ms", "partition.assignment.strategy", "heartbeat.interval.ms"):
            options.pop(classic, None)  # the broker's to say, in that protocol
    return options


def producer_options(kafka: Kafka, transactional_id: str | None, largest_batch: int = LARGEST_BATCH) -> Options:
    """With a transactional id: exactly once. Without: at least once. `largest_batch`: bytes that every topic it writes to
    takes at once. Raises KafkaRefused."""
    fixed(kafka, {"enable.idempotence": True, "acks": "all"})
    ours: Options = {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 5,
        "batch.num.messages": 10_000,
        "batch.size": min(LARGEST_BATCH, largest_batch),
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 64 * 1024,
        "message.timeout.ms": TRANSACTION_MS,
        "message.max.bytes": 16 << 20,  # the broker and the topic say what is too large
        "partitioner": "murmur2_random",  # as Java's producers: a key's records stay on the partition they expect
    }
    if transactional_id is not None:
        ours |= {"transactional.id": transactional_id, "transaction.timeout.ms": TRANSACTION_MS}
    return kafka.with_options(ours)
