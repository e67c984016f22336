"""Starts that follow the partitions: kept as the metadata of offsets that a group of its own commits, `<group>.starts`.

The file (starts.py) tells who starts again on the same disk. A pod that was moved finds its partitions' starts here.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from pipelines.kafka.bounded import Hung, bounded
from pipelines.kafka.errors import one_line
from pipelines.stream.positions import Partition
from pipelines.stream.starts import Range

SUFFIX = ".starts"
EVERY_S = 0.1
PATIENCE_S = 5.0
MOST_BYTES = 4000
"""A broker takes 4096 bytes of metadata by default (offset.metadata.max.bytes)."""
_Kept = list[tuple[int, int, int]]
"""First, last, starts."""


class StartsGroup:
    """Called by one thread. A broker that is away costs nothing here: the file still knows."""

    def __init__(self, consumer: Consumer, monotonic: Callable[[], float], tell: Callable[[str], None]) -> None:
        """`consumer`: of the group `<group>.starts`; it never subscribes."""
        self._consumer = consumer
        self._monotonic = monotonic
        self._tell = tell
        self._noted_at = float("-inf")

    def read(self, partitions: Sequence[Partition]) -> list[Range]:
        """What was started of these and may not be answered."""
        self._noted_at = float("-inf")
        try:
            found = self._consumer.committed([TopicPartition(*each) for each in partitions], PATIENCE_S)
        except KafkaException as fault:
            self._tell(f"starts of partitions that came are unknown: {one_line(fault)}")
            return []
        return [Range(each.topic, each.partition, *kept) for each in found for kept in _decoded(each.metadata)]

    def note(self, ranges: Sequence[Range], surely: bool) -> None:
        """Write these down: at once and confirmed when `surely` and after partitions came, else by and by, a few times a
        second. A process that crashes in its first batch, again and again, must have told."""
        now = self._monotonic()
        if not ranges or (not surely and now - self._noted_at < EVERY_S):
            return
        surely = surely or self._noted_at == float("-inf")
        self._noted_at = now
        try:
            if surely:
                offsets = _offsets(ranges)
                bounded(lambda: self._consumer.commit(offsets=offsets, asynchronous=False), PATIENCE_S)
            else:
                self._consumer.commit(offsets=_offsets(ranges), asynchronous=True)
        except (KafkaException, Hung) as fault:
            self._tell(f"starts are kept only on this disk: {one_line(fault)}")

    def close(self) -> None:
        self._consumer.close()


def _offsets(ranges: Iterable[Range]) -> list[TopicPartition]:
    kept: dict[Partition, _Kept] = {}
    for each in ranges:
        kept.setdefault((each.topic, each.partition), []).append((each.first, each.last, each.starts))
    return [
        TopicPartition(topic, number, min(first for first, _, _ in of), _encoded(of))
        for (topic, number), of in kept.items()
    ]


def _encoded(kept: _Kept) -> str:
    """The most often started are kept when not all fit."""
    kept = sorted(kept, key=lambda each: -each[2])
    while len(text := msgspec.json.encode(kept)) > MOST_BYTES:
        kept = kept[: len(kept) // 2]
    return text.decode()


def _decoded(metadata: str | None) -> _Kept:
    try:
        return msgspec.json.decode(metadata, type=_Kept) if metadata else []
    except msgspec.MsgspecError:
        return []
