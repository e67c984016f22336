"""The job queue on a topic of Kafka."""

import time
from collections.abc import Iterable

from confluent_kafka import Consumer

from forebay.brokers import Broker, Tell, Wanted
from forebay.kafka_address import KafkaAddress
from forebay.pools import DEFAULT_POOL
from forebay.settings import Settings
from pipelines.catalog import Catalog
from pipelines.kafka.faults import KafkaAway
from pipelines.kafka.options import Kafka, consumer, producer
from pipelines.kafka.topics import Creation, ensure
from pipelines.queues.kafka_inbox import Inbox, Limit
from pipelines.queues.kafka_options import consumer_options, producer_options
from pipelines.queues.kafka_outlet import KafkaOutlet
from pipelines.queues.kafka_polling import OnCommit, OnError, Polling
from pipelines.queues.kafka_queue import KafkaQueue
from pipelines.queues.strangers import Strangers
from workers.queue_lag import QueueLag

MOST_WAITING = 1000
"""Messages read and not handed out; a process that dies gives them back unclaimed."""
WAITING_BYTES = 16 << 20


def api_outlet(settings: Settings, at: KafkaAddress, catalog: Catalog, tell: Tell) -> KafkaOutlet:
    """Raises KafkaRefused."""
    try:
        check_topics(settings, at, {model.spec.pool for model in catalog.models.values()})
    except KafkaAway as away:
        tell(f"{away}: jobs are taken and sent later")
    return outlet_of(settings, at, catalog, tell)


def broker(settings: Settings, at: KafkaAddress, catalog: Catalog, wanted: Wanted, warn: Tell, tell: Tell) -> Broker:
    """Raises KafkaAway, KafkaRefused."""
    check_topics(settings, at, [settings.pool])
    outlet = outlet_of(settings, at, catalog, warn)
    queue = queue_of(settings, at, wanted.credits, wanted.strangers, tell)
    return Broker(queue, outlet, QueueLag(lambda: queue.lag))


def outlet_of(settings: Settings, at: KafkaAddress, catalog: Catalog, tell: Tell) -> KafkaOutlet:
    """Sends each model's jobs to its pool's topic. Raises KafkaRefused for options that are none."""
    pools = {name: model.spec.pool for name, model in catalog.models.items()}

    def topic_of(model: str) -> str:
        return at.topic_of(pools.get(model, DEFAULT_POOL))

    options = producer_options(cluster_of(settings, at))
    return KafkaOutlet(lambda: producer(options), topic_of, time.monotonic, tell)


def queue_of(settings: Settings, at: KafkaAddress, credits: int, strangers: Strangers, tell: Tell) -> KafkaQueue:
    """The receiving side of this worker's pool. Raises KafkaAway, KafkaRefused: one line."""
    options = consumer_options(cluster_of(settings, at), at.group_of(settings.pool))

    def make(on_commit: OnCommit, on_error: OnError) -> Consumer:
        return consumer(options, on_commit=on_commit, error_cb=on_error)

    inbox = Inbox(Limit(min(credits, MOST_WAITING), WAITING_BYTES))
    polling = Polling(make, at.topic_of(settings.pool), inbox, time.monotonic, tell)
    return KafkaQueue(inbox, polling, strangers)


def check_topics(settings: Settings, at: KafkaAddress, pools: Iterable[str]) -> None:
    """Raises KafkaAway when no broker answers, KafkaRefused when a topic is missing and may not be made; one line."""
    creation = None if at.partitions is None else Creation(at.partitions)
    ensure(cluster_of(settings, at), [at.topic_of(pool) for pool in pools], creation, "?partitions=N on the queue")


def cluster_of(settings: Settings, at: KafkaAddress) -> Kafka:
    return Kafka(at.bootstrap, {name: value for name, value in settings.kafka.items() if name != "bootstrap.servers"})
