"""The job queue of these settings: the store itself, or a topic of Kafka."""

import time
from collections.abc import Callable, Iterable

from confluent_kafka import Consumer

from forebay.queue_address import KafkaAddress
from forebay.settings import Settings
from pipelines.catalog import Catalog
from pipelines.kafka.options import Kafka, consumer, producer
from pipelines.kafka.topics import Creation, ensure
from pipelines.queues.kafka_inbox import Inbox, Limit
from pipelines.queues.kafka_options import consumer_options, producer_options
from pipelines.queues.kafka_outlet import KafkaOutlet
from pipelines.queues.kafka_polling import OnCommit, OnError, Polling
from pipelines.queues.kafka_queue import KafkaQueue
from pipelines.queues.strangers import Strangers

DEFAULT_POOL = "default"
MOST_WAITING = 1000
"""Messages read and not handed out; a process that dies gives them back unclaimed."""
WAITING_BYTES = 16 << 20

Tell = Callable[[str], None]


def outlet_of(settings: Settings, at: KafkaAddress, catalog: Catalog, tell: Tell) -> KafkaOutlet:
    """Sends each model's jobs to its pool's topic. Raises KafkaRefused for options that are none."""
    pools = {name: model.spec.pool for name, model in catalog.models.items()}

    def topic_of(model: str) -> str:
        return at.topic_of(pools.get(model, DEFAULT_POOL))

    options = producer_options(_kafka(settings, at))
    return KafkaOutlet(lambda: producer(options), topic_of, time.monotonic, tell)


def queue_of(settings: Settings, at: KafkaAddress, credits: int, strangers: Strangers, tell: Tell) -> KafkaQueue:
    """The receiving side of this worker's pool. Raises KafkaAway, KafkaRefused: one line."""
    options = consumer_options(_kafka(settings, at), at.group_of(settings.pool))

    def make(on_commit: OnCommit, on_error: OnError) -> Consumer:
        return consumer(options, on_commit=on_commit, error_cb=on_error)

    inbox = Inbox(Limit(min(credits, MOST_WAITING), WAITING_BYTES))
    polling = Polling(make, at.topic_of(settings.pool), inbox, time.monotonic, tell)
    return KafkaQueue(inbox, polling, strangers)


def check_topics(settings: Settings, at: KafkaAddress, pools: Iterable[str]) -> None:
    """Raises KafkaAway when no broker answers, KafkaRefused when a topic is missing and may not be made; one line."""
    creation = None if at.partitions is None else Creation(at.partitions)
    ensure(_kafka(settings, at), [at.topic_of(pool) for pool in pools], creation, "?partitions=N on the queue")


def _kafka(settings: Settings, at: KafkaAddress) -> Kafka:
    return Kafka(at.bootstrap, {name: value for name, value in settings.kafka.items() if name != "bootstrap.servers"})
