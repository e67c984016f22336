"""Queues and an outlet on one topic of a real broker, for tests."""

import time

from confluent_kafka import Consumer

from pipelines.kafka.options import Kafka, Options, consumer, producer
from pipelines.ports import Queue
from pipelines.queues.kafka_inbox import Inbox, Limit
from pipelines.queues.kafka_options import consumer_options, producer_options
from pipelines.queues.kafka_outlet import KafkaOutlet
from pipelines.queues.kafka_polling import OnCommit, OnError, Polling
from pipelines.queues.kafka_queue import KafkaQueue
from pipelines.queues.strangers import Adopt, Keep, Strangers
from schemas.strays import Stray

ROOMY = Limit(1000, 1 << 20)


class KafkaSide:
    def __init__(self, bootstrap: str, topic: str, options: Options | None = None) -> None:
        self.kafka = Kafka(bootstrap, options or {})
        self.topic = topic
        self.kept: list[Stray] = []
        self.told: list[str] = []
        self.outlet = self.sender()
        self._open: list[Queue] = []

    def sender(self, patience: float = 15.0) -> KafkaOutlet:
        options = producer_options(self.kafka)
        return KafkaOutlet(
            lambda: producer(options), lambda model: self.topic, time.monotonic, self.told.append, patience
        )

    def receiver(self, limit: Limit = ROOMY, keep: Keep | None = None, adopt: Adopt = lambda directs: []) -> KafkaQueue:
        def make(on_commit: OnCommit, on_error: OnError) -> Consumer:
            options = consumer_options(self.kafka, f"group-of-{self.topic}")
            return consumer(options, on_commit=on_commit, error_cb=on_error)

        inbox = Inbox(limit)
        polling = Polling(make, self.topic, inbox, time.monotonic, self.told.append)
        queue = KafkaQueue(inbox, polling, Strangers(keep or self.kept.extend, adopt))
        queue.open(lambda: None)
        self._open.append(queue)
        return queue

    def crash(self, queue: Queue) -> None:
        """What was settled may have been committed; the rest is given up."""
        assert isinstance(queue, KafkaQueue)
        queue.close()
        self._open.remove(queue)

    def close(self) -> None:
        for queue in list(self._open):
            self.crash(queue)
        self.outlet.close()
