"""What the job queue asks of librdkafka, and why."""

from pipelines.kafka.options import Kafka, Options, fixed

SESSION_MS = 10_000
"""A killed worker's partitions move after this."""
MESSAGE_MS = 3_000
"""What the broker did not take within this is given up here: the sweeper sends it again."""
FETCHED_AHEAD_KB = 4 * 1024
"""A message wakes a row; there is no use in holding many."""
_CLASSIC_ONLY = ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy")


def consumer_options(kafka: Kafka, group: str) -> Options:
    """Raises KafkaRefused when the user's options contradict what settling stands on."""
    fixed(kafka, {"enable.auto.commit": False, "enable.auto.offset.store": False})
    ours: Options = {
        "group.id": group,
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": SESSION_MS // 4,
        "max.poll.interval.ms": 60_000,  # a thread of its own polls: longer than this, it is frozen
        "auto.offset.reset": "earliest",  # a new group takes up what was sent before it came
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "queued.min.messages": 1_000,
        "queued.max.messages.kbytes": FETCHED_AHEAD_KB,
        "fetch.wait.max.ms": 100,
        "fetch.error.backoff.ms": 100,
        "socket.timeout.ms": 10_000,
    }
    options = kafka.with_options(ours)
    if str(options.get("group.protocol", "classic")).lower() == "consumer":
        for name in _CLASSIC_ONLY:  # the broker's to say in that protocol (KIP-848)
            options.pop(name, None)
    return options


def producer_options(kafka: Kafka) -> Options:
    """Raises KafkaRefused when the user's options contradict what a confirmation means."""
    fixed(kafka, {"enable.idempotence": True, "acks": "all"})
    ours: Options = {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 1,
        "message.timeout.ms": MESSAGE_MS,
        "queue.buffering.max.messages": 50_000,
        "queue.buffering.max.kbytes": 64 * 1024,
        "message.max.bytes": 2 << 20,  # what is inlined is far smaller; the topic says what is too large
        "partitioner": "murmur2_random",  # as Java's producers
    }
    return kafka.with_options(ours)
