"""Records of any topic by their place, as far as they are committed."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipelines.clock import Clock
from pipelines.kafka.errors import error_of, is_refused, one_line
from pipelines.kafka.faults import KafkaAway, KafkaRefused
from pipelines.kafka.options import Kafka, consumer
from pipelines.stream.options import consumer_options

PATIENCE_S = 10.0
SILENCE_S = 30.0
"""Without a record and without the end: then nobody answers any more."""
_MOST = 500
_POLL_S = 1.0
_TRY_S = 2.0


class Reader:
    """Called by one thread, for one thing at a time. Joins no group and commits nothing.

    Raises KafkaAway and KafkaRefused from every call.
    """

    def __init__(self, kafka: Kafka, group: str, clock: Clock) -> None:
        self._bootstrap = kafka.bootstrap
        self._group = group
        self._clock = clock
        self._options = consumer_options(kafka, group, group, "earliest")
        self._options.pop("group.instance.id")  # it is a member of nothing: it says itself what it reads
        self._client: Consumer = consumer(self._options)

    def close(self) -> None:
        self._client.close()

    def group(self) -> Any:
        """For `send_offsets_to_transaction`."""
        return self._client.consumer_group_metadata()

    def committed(self, topic: str, numbers: list[int]) -> list[TopicPartition]:
        """What the group committed. While a transaction of another is open, it is waited for.

        By a client of its own: after a broker was away, one that is a member of nothing may not look for the group's
        coordinator again for minutes."""
        asked = [TopicPartition(topic, number) for number in numbers]
        with closing(consumer(self._options)) as client:
            until = self._clock.monotonic() + PATIENCE_S
            while True:
                try:
                    found = client.committed(asked, _TRY_S)
                    break
                except KafkaException as fault:
                    self._look_for_refusal(client)
                    if self._clock.monotonic() > until:
                        raise self._fault(error_of(fault), f"group {self._group!r}") from fault
        for each in found:
            if each.error is not None:
                raise self._fault(each.error, f"topic {topic!r}")
        return found

    def watermarks(self, topic: str, number: int) -> tuple[int, int]:
        """The first offset, and the one behind the last that is committed."""
        try:
            return self._client.get_watermark_offsets(TopicPartition(topic, number), PATIENCE_S)
        except KafkaException as fault:
            raise self._fault(error_of(fault), f"topic {topic!r}") from fault

    def records(self, topic: str, number: int, first: int, behind: int) -> Iterator[Message]:
        """Those between the two offsets, in order."""
        self._client.assign([TopicPartition(topic, number, first)])
        heard = self._clock.monotonic()
        while True:
            for message in self._fetched():
                if message.error() is not None:
                    if self._is_end(message, topic):
                        return
                elif (message.offset() or 0) >= behind:
                    return
                else:
                    yield message
                    heard = self._clock.monotonic()
            if self._clock.monotonic() - heard > SILENCE_S:
                raise KafkaAway(f"kafka {self._bootstrap}: topic {topic!r}: no broker answers")

    def record(self, topic: str, number: int, offset: int) -> Message | None:
        """None when it is not there, or not any more."""
        start, end = self.watermarks(topic, number)
        if not start <= offset < end:
            return None
        found = next(self.records(topic, number, offset, offset + 1), None)
        return found if found is not None and found.offset() == offset else None

    def _fetched(self) -> list[Message]:
        """What is there, or the first that comes: `consume` would wait for as many as were asked for."""
        got = self._client.consume(_MOST, 0)
        first = None if got else self._client.poll(_POLL_S)
        return got if first is None else [first]

    def _is_end(self, message: Message, topic: str) -> bool:
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:
            return True
        if is_refused(error) or error.fatal():
            raise self._fault(error, f"topic {topic!r}")
        return False  # librdkafka tries again by itself

    def _look_for_refusal(self, client: Consumer) -> None:
        """A group that may not be read only times out; why is told where records would come, and none do here."""
        while (message := client.poll(0)) is not None:
            error = message.error()
            if error is not None and is_refused(error):
                raise self._fault(error, f"group {self._group!r}")

    def _fault(self, error: KafkaError, what: str) -> KafkaAway | KafkaRefused:
        kind = KafkaRefused if is_refused(error) else KafkaAway
        return kind(f"kafka {self._bootstrap}: {what}: {one_line(error)}")
