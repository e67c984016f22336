"""The input side: a consumer of a group, its rebalances, and going back after an abort."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipelines.kafka.errors import error_of, is_fatal, is_fenced, is_refused, one_line
from pipelines.kafka.faults import Fenced, KafkaAway, KafkaRefused
from pipelines.kafka.presence import Presence
from pipelines.stream.positions import Partition, Positions, spans_of

SEEK_PATIENCE_S = 10.0
COMMITTED_PATIENCE_S = 10.0


class Rebalances(Protocol):
    """Told from within `read`, before the partitions go."""

    def came(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """They are ours from now on. Answers where to start, for those whose offsets are kept elsewhere than in the group.
        Must not raise."""
        ...

    def before_leaving(self) -> None:
        """Commit what was read: these partitions are taken in order. Must not raise."""
        ...

    def lost(self) -> None:
        """Too late to commit: what is open is aborted. Must not raise."""
        ...


class Source:
    """Called by one thread. `listen` is set before the first `read`."""

    def __init__(
        self, consumer: Consumer, topics: Sequence[str], tell: Callable[[str], None], presence: Presence
    ) -> None:
        """`presence`: told of the consumer's errors."""
        self._consumer = consumer
        self._presence = presence
        self._topics = list(topics)
        self._tell = tell
        self.positions = Positions()
        self.ended: set[Partition] = set()
        """Partitions that were read to their end since they came."""

    def subscribe(self, listener: Rebalances) -> None:
        def assigned(_: Any, partitions: list[TopicPartition]) -> None:
            starts = listener.came(_names(partitions))
            self.positions.assigned(_names(partitions))
            if starts:
                self._consumer.incremental_assign([_starting(each, starts) for each in partitions])
            self._tell(f"partitions assigned: {_shown(partitions)}")

        def revoked(_: Any, partitions: list[TopicPartition]) -> None:
            listener.before_leaving()
            self._gone(partitions, "revoked")

        def lost(_: Any, partitions: list[TopicPartition]) -> None:
            self._gone(partitions, "lost")
            listener.lost()

        self._consumer.subscribe(self._topics, on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def read(self, most: int, wait: float) -> list[Message]:
        """Up to `most` records: what is there, or the first that comes within `wait` seconds and its company.

        Raises Fenced and KafkaRefused; errors that pass are told, and reading goes on.
        """
        got = self._consumer.consume(most, 0)
        if not got:
            self._presence.look(self._consumer)
        if not got and wait > 0:
            first = self._consumer.poll(wait)
            if first is None:
                return []
            got = [first, *self._consumer.consume(most - 1, 0)] if most > 1 else [first]
        return self._sorted_out(got)

    def group(self) -> Any:
        """The group metadata as of now, for `send_offsets_to_transaction`."""
        return self._consumer.consumer_group_metadata()

    def rewind(self, committed: Mapping[Partition, int] | None = None) -> None:
        """Read again what was read since the last commit, as the group tells it, or `committed` where offsets are kept
        elsewhere. Raises KafkaAway; then nothing has moved, and calling again is safe."""
        self.positions.rebase(self._committed() if committed is None else committed)
        for (topic, number), offset in self.positions.undone().items():
            self._seek(TopicPartition(topic, number, offset))
            self.ended.discard((topic, number))

    def commit(self, offsets: Sequence[TopicPartition]) -> None:
        """Outside of a transaction. Raises KafkaException."""
        self._consumer.commit(offsets=list(offsets), asynchronous=False)

    def rest(self, seconds: float) -> None:
        """Stay in the group without reading. Raises Fenced and KafkaRefused."""
        paused = [TopicPartition(topic, number) for topic, number in self.positions.owned]
        with suppress(KafkaException):  # lost, and not told so yet: nothing comes of them
            self._consumer.pause(paused)
        if self._sorted_out(self._consumer.consume(1, seconds)):
            self.rewind()
        still = self.positions.owned
        with suppress(KafkaException):
            self._consumer.resume([each for each in paused if (each.topic, each.partition) in still])

    def lag(self) -> dict[Partition, int]:
        """Records behind the end of each partition, as of the last fetch; those read and not committed count."""
        found = {}
        for partition in self.positions.owned:
            _, high = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
            base = self.positions.base(partition)
            if base is not None and high >= 0:
                found[partition] = max(0, high - base)
        return found

    def drained(self) -> bool:
        """Whether all that is ours was read to its end."""
        owned = self.positions.owned
        return bool(owned) and owned <= self.ended

    def close(self) -> None:
        self._consumer.close()

    def _committed(self) -> dict[Partition, int]:
        asked = [TopicPartition(topic, number) for topic, number in self.positions.owned]
        if not asked:
            return {}
        try:
            found = self._consumer.committed(asked, COMMITTED_PATIENCE_S)
        except KafkaException as fault:
            raise KafkaAway(f"kafka: what is committed is unknown: {one_line(fault)}") from fault
        return {(each.topic, each.partition): each.offset for each in found if each.offset >= 0 and each.error is None}

    def _sorted_out(self, got: list[Message]) -> list[Message]:
        """Records of partitions that are ours; the errors among them are dealt with."""
        if any([message.error() is not None for message in got]):  # noqa: C419  # a list is quicker here
            for message in got:
                if message.error() is not None:
                    self._note(message)
            got = [message for message in got if message.error() is None]
        owned = self.positions.owned
        spans = spans_of(got)
        if not spans.keys() <= owned:  # what was fetched before a rebalance may come after it
            got = [message for message in got if (message.topic(), message.partition()) in owned]
            spans = spans_of(got)
        self.positions.read(spans)
        return got

    def _note(self, message: Message) -> None:
        error = message.error()
        assert error is not None
        if error.code() == KafkaError._PARTITION_EOF:
            self.ended.add((message.topic() or "", message.partition() or 0))
        elif is_fenced(error):
            raise Fenced(
                f"kafka: {one_line(error)}: another process runs as this instance; give each its own --instance"
            )
        elif is_refused(error) or is_fatal(error):
            raise KafkaRefused(f"kafka: {one_line(error)}")
        else:
            self._tell(f"kafka: {one_line(error)}")

    def _gone(self, partitions: list[TopicPartition], how: str) -> None:
        names = _names(partitions)
        self.positions.gone(names)
        self.ended.difference_update(names)
        self._tell(f"partitions {how}: {_shown(partitions)}")

    def _seek(self, to: TopicPartition) -> None:
        """A partition that is only just assigned cannot be sought yet."""
        until = time.monotonic() + SEEK_PATIENCE_S
        while True:
            try:
                self._consumer.seek(to)
                return
            except KafkaException as fault:
                if time.monotonic() > until or not error_of(fault).code() == KafkaError._STATE:
                    raise KafkaAway(
                        f"kafka: cannot go back in {to.topic}, {to.partition}: {one_line(fault)}"
                    ) from fault
                time.sleep(0.05)


def _starting(partition: TopicPartition, starts: Mapping[Partition, int]) -> TopicPartition:
    at = starts.get((partition.topic, partition.partition))
    return partition if at is None else TopicPartition(partition.topic, partition.partition, at)


def _names(partitions: Sequence[TopicPartition]) -> list[Partition]:
    return [(partition.topic, partition.partition) for partition in partitions]


def _shown(partitions: Sequence[TopicPartition]) -> str:
    by_topic: dict[str, list[int]] = {}
    for partition in partitions:
        by_topic.setdefault(partition.topic, []).append(partition.partition)
    return "; ".join(f"{topic} {', '.join(map(str, sorted(numbers)))}" for topic, numbers in by_topic.items()) or "none"
