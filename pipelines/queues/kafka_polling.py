"""The thread that owns the consumer: it reads while there is room, holds partitions paused while there is none, commits what
was settled, and lives through rebalances. No batch that runs ever keeps it from polling."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from pipelines.kafka.errors import error_of, is_refused, one_line
from pipelines.kafka.faults import KafkaRefused
from pipelines.kafka.presence import Presence
from pipelines.queues.kafka_inbox import Inbox
from pipelines.queues.kafka_ledger import Partition
from pipelines.queues.kafka_messages import decode

POLL_S = 0.1
COMMIT_EVERY_S = 0.2
LAG_EVERY_S = 1.0
PAUSE_AFTER_S = 0.25
"""Without room for so long, partitions are paused. Sooner would cost more than it saves: what was fetched ahead is fetched
again after a pause."""
CLOSES_WITHIN_S = 20.0
_MOST = 500


OnCommit = Callable[[KafkaError | None, list[TopicPartition]], None]
OnError = Callable[[KafkaError], None]


class Polling:
    def __init__(
        self,
        make: Callable[[OnCommit, OnError], Consumer],
        topic: str,
        inbox: Inbox,
        monotonic: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        """`make`: a consumer with `consumer_options` that reports its commits (`on_commit`) and what it meets on its
        connections (`error_cb`) to what it is given."""
        self.presence = Presence(topic, monotonic, tell)
        self._consumer = make(self._committed, self.presence.error)
        self._topic = topic
        self._inbox = inbox
        self._monotonic = monotonic
        self._tell = tell
        self._stopping = threading.Event()
        self._paused: set[Partition] = set()
        self._committed_at = 0.0
        self._thread = threading.Thread(target=self._guarded, name="forebay-kafka", daemon=True)
        self.fault: BaseException | None = None
        """What ended the thread: refused by the brokers, or a bug of ours."""
        self.on_arrival: Callable[[], None] = lambda: None
        self.lag: dict[Partition, int] = {}
        """Messages not settled, up to the end of each partition that is ours: made anew every second, never changed."""
        self._lag_at = 0.0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commits what was settled and leaves the group."""
        self._stopping.set()
        self._thread.join(CLOSES_WITHIN_S)

    def _guarded(self) -> None:
        try:
            self._consumer.subscribe(
                [self._topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
            )
            while not self._stopping.is_set():
                self._step()
            self._commit_now()
        except BaseException as fault:  # noqa: BLE001  # raised again by the next receive
            self.fault = fault
            self.on_arrival()
        finally:
            self._consumer.close()

    def _step(self) -> None:
        room = self._room()
        self._hold_or_release(room)
        records = self._read(room)
        came = [
            self._inbox.put(_partition(record), record.offset() or 0, decode(record), _size(record))
            for record in records
        ]
        if any(came):
            self.on_arrival()
        self._commit_in_time()
        self._look_at_lag()
        if not records:
            self.presence.look(self._consumer)

    def _room(self) -> int:
        """0: it is time to pause, or to stay paused."""
        if self._paused:
            return self._inbox.room() if self._inbox.wait_for_room(POLL_S) else 0
        room = self._inbox.room()
        if room <= 0 and self._inbox.wait_for_room(PAUSE_AFTER_S):
            room = self._inbox.room()
        return max(0, room)

    def _hold_or_release(self, room: int) -> None:
        ours = self._inbox.partitions()
        if room > 0:
            if self._paused:
                self._consumer.resume(_named(self._paused & ours))
                self._paused = set()
        elif fresh := ours - self._paused:
            self._consumer.pause(_named(fresh))
            self._paused |= fresh

    def _read(self, room: int) -> list[Message]:
        """Also serves rebalances, so it is called whether there is room or not."""
        first = self._consumer.poll(POLL_S if room > 0 else 0)
        if first is None:
            return []
        # As large as the first one, for all that is known: what is read at once may go beyond the limit only by so much.
        more = min(room, _MOST, self._inbox.bytes_left() // max(1, len(first))) - 1
        got = [first, *self._consumer.consume(more, 0)] if more > 0 else [first]
        return [record for record in got if self._is_record(record)]

    def _is_record(self, record: Message) -> bool:
        error = record.error()
        if error is None:
            return True
        if is_refused(error) or error.fatal():
            raise KafkaRefused(f"kafka: topic {self._topic!r}: {one_line(error)}")
        self._tell(f"kafka: {one_line(error)}")
        return False

    # --- offsets ---

    def _commit_in_time(self) -> None:
        now = self._monotonic()
        if now - self._committed_at < COMMIT_EVERY_S:
            return
        self._committed_at = now
        if moved := self._inbox.progress():
            self._consumer.commit(offsets=_offsets(moved), asynchronous=True)

    def _committed(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """librdkafka's report of any commit."""
        if error is not None and error.code() == KafkaError._NO_OFFSET:
            return
        faults = {(each.topic, each.partition): fault for each in partitions if (fault := error or each.error)}
        if faults:
            self._inbox.untell(faults)
            self._tell(f"kafka: offsets not committed, will be again: {one_line(next(iter(faults.values())))}")

    def _commit_now(self, of: Sequence[Partition] | None = None) -> None:
        """A commit that fails here repeats claims that are refused, nothing more."""
        moved = self._inbox.progress(of)
        if not moved:
            return
        try:
            self._consumer.commit(offsets=_offsets(moved), asynchronous=False)
        except KafkaException as fault:
            if error_of(fault).code() != KafkaError._NO_OFFSET:
                self._tell(f"kafka: offsets not committed on leaving: {one_line(fault)}")

    def _look_at_lag(self) -> None:
        now = self._monotonic()
        if now - self._lag_at >= LAG_EVERY_S:
            self._lag_at = now
            self.lag = {partition: self._behind(partition, base) for partition, base in self._inbox.bases().items()}

    def _behind(self, partition: Partition, base: int) -> int:
        """By the end that the last fetch told; the broker is not asked."""
        _, end = self._consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        return max(0, end - base)

    # --- rebalances, called from within poll ---

    def _assigned(self, _: Any, partitions: list[TopicPartition]) -> None:
        self._inbox.assigned(_names(partitions))
        self._tell(f"kafka: assigned {_shown(partitions)}")

    def _revoked(self, _: Any, partitions: list[TopicPartition]) -> None:
        names = _names(partitions)
        self._commit_now(names)
        self._forget(names)
        self._tell(f"kafka: revoked {_shown(partitions)}")

    def _lost(self, _: Any, partitions: list[TopicPartition]) -> None:
        """Somebody else's already: nothing of ours may be committed."""
        self._forget(_names(partitions))
        self._tell(f"kafka: lost {_shown(partitions)}")

    def _forget(self, names: Sequence[Partition]) -> None:
        self._inbox.gone(names)
        self._paused.difference_update(names)


def _partition(record: Message) -> Partition:
    return record.topic() or "", record.partition() or 0


def _size(record: Message) -> int:
    return len(record.value() or b"") + len(record.key() or b"")


def _names(partitions: Sequence[TopicPartition]) -> list[Partition]:
    return [(each.topic, each.partition) for each in partitions]


def _named(partitions: set[Partition]) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for topic, number in sorted(partitions)]


def _offsets(moved: dict[Partition, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, number, offset) for (topic, number), offset in moved.items()]


def _shown(partitions: Sequence[TopicPartition]) -> str:
    return ", ".join(f"{each.topic}-{each.partition}" for each in partitions) or "nothing"
