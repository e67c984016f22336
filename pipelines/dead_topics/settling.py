"""Letters are settled in transactions: what is sent and what the dead-letter group committed, together or not at all.

A process that is killed anywhere leaves a transaction that nobody sees; the next one ends it by taking its transactional
id, and starts from what is committed: nothing is repeated and nothing is lost.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from confluent_kafka import Producer, TopicPartition

from pipelines.clock import Clock
from pipelines.dead_topics.letter import Letter
from pipelines.dead_topics.pace import Pace
from pipelines.dead_topics.settled import Settled, Span
from pipelines.dead_topics.topic import DeadTopic, Part
from pipelines.dead_topics.verdicts import Left, Outgoing, Replayed, Verdict
from pipelines.kafka.faults import Fenced, KafkaAway
from pipelines.stream.dead import headers_of, timestamp_of
from pipelines.stream.sinks import Outdated, Undone
from pipelines.stream.transactions import Transactions

T = TypeVar("T")

MOST_TAKEN = 500
"""In one transaction, which must be over well within its time-out."""
_MOST_READ = 2_000
_MOST_BYTES = 4 << 20
PATIENCE_S = 120.0
"""How long a transaction that was undone is tried again: a broker that is started anew takes a minute on a busy machine, and
then the transactional id is free only once what its last producer left is ended."""
_ROOM_WAIT_S = 0.05
_THE_REST = "what was told is done, the rest is as it was"


class Settling:
    """Called by one thread. The transactions were started before the topic was looked at."""

    def __init__(
        self, dead: DeadTopic, transactions: Transactions, pace: Pace, clock: Clock, tell: Callable[[str], None]
    ) -> None:
        self._dead = dead
        self._transactions = transactions
        self._pace = pace
        self._clock = clock
        self._tell = tell
        self._committed = Settled(0)
        """What the group has of the partition at hand."""
        self._carrying = False
        """From the first chunk on whose settled runs do not fit: those that stay keep their order."""
        self.carried = 0
        """Letters that stay and were written again to the end of their partition."""

    def run(
        self, parts: Iterable[Part], judge: Callable[[Letter], Verdict], limit: int | None
    ) -> Iterator[list[Verdict]]:
        """Chunks of letters that were read, each when what was decided on it is committed.

        Raises Fenced when another settles this topic, KafkaAway and KafkaRefused. Then, and when it is not run to its end,
        the rest is as it was.
        """
        for part in parts:
            self._committed, self._carrying = part.committed, False
            at, settled = max(part.settled.base, part.first), part.settled
            for chunk in self._chunks(map(judge, self._dead.letters(part)), limit):
                taken = sum(not isinstance(verdict, Left) for verdict in chunk)
                if taken:
                    self._pace.wait(taken)
                if taken or self._carrying:
                    settled = self._settle(part.number, settled, at, chunk)
                at = chunk[-1].letter.offset + 1
                yield chunk
                limit = None if limit is None else limit - taken
            if limit == 0:
                return

    def _chunks(self, verdicts: Iterable[Verdict], limit: int | None) -> Iterator[list[Verdict]]:
        chunk, taken, size = list[Verdict](), 0, 0
        most, left = self._pace.chunk(MOST_TAKEN), limit
        for verdict in verdicts:
            chunk.append(verdict)
            taken += not isinstance(verdict, Left)
            size += _size(verdict)
            if taken == min(most, most if left is None else left) or len(chunk) == _MOST_READ or size > _MOST_BYTES:
                yield chunk
                left = None if left is None else left - taken
                if left == 0:
                    return
                chunk, taken, size = [], 0, 0
        if chunk:
            yield chunk

    def _settle(self, number: int, before: Settled, at: int, chunk: Sequence[Verdict]) -> Settled:
        """What is settled after it. `at`: all from there to the end of the chunk was read."""
        outgoing = [verdict.record for verdict in chunk if isinstance(verdict, Replayed)]
        after, carried = before.with_spans(_spans(at, chunk)), list[Outgoing]()
        self._carrying |= not after.fits
        if self._carrying:
            carried = [_as_it_is(self._dead.topic, verdict.letter) for verdict in chunk if isinstance(verdict, Left)]
            after = before.with_spans([(at, chunk[-1].letter.offset + 1)])
        self._commit(number, [*outgoing, *carried], after)
        self._committed = after
        self.carried += len(carried)
        return after

    def _commit(self, number: int, outgoing: Sequence[Outgoing], after: Settled) -> None:
        until = self._clock.monotonic() + PATIENCE_S
        while True:
            try:
                self._transact(number, outgoing, after)
                return
            except Outdated as outdated:
                raise self._fenced(str(outdated)) from outdated
            except Undone as undone:
                if self._clock.monotonic() > until:
                    raise KafkaAway(f"{undone}; {_THE_REST}") from undone
                self._tell(f"{undone}; trying again")
            self._transactions.abort()
            self._until(until, self._transactions.renew)
            # A commit whose answer was lost may have happened.
            found = self._until(until, lambda: self._dead.settled([number])[number])
            if found == after:
                return
            if found != self._committed:
                raise self._fenced("somebody else settled letters meanwhile")

    def _until(self, until: float, call: Callable[[], T]) -> T:
        """Called again while the brokers are away. Raises KafkaAway from `until` on."""
        while True:
            try:
                return call()
            except KafkaAway as away:
                if self._clock.monotonic() > until:
                    raise KafkaAway(f"{away}; {_THE_REST}") from away
                self._tell(f"{away}; trying again")

    def _fenced(self, why: str) -> Fenced:
        topic = self._dead.topic
        return Fenced(f"{why}: another replay or discard of {topic!r} took over, or this one stood still; {_THE_REST}")

    def _transact(self, number: int, outgoing: Sequence[Outgoing], after: Settled) -> None:
        self._transactions.begin(self._dead.group())
        self._transactions.send(lambda producer: _produce(producer, outgoing), "records")
        self._transactions.commit_at([TopicPartition(self._dead.topic, number, after.base, after.metadata)])


def _size(verdict: Verdict) -> int:
    """Bytes that it holds; a value that was left behind was fetched."""
    value = verdict.record.value if isinstance(verdict, Replayed) else verdict.letter.message.value()
    return len(value or b"")


def _spans(at: int, chunk: Iterable[Verdict]) -> Iterator[Span]:
    """Each letter that is taken, and the offsets without a record before it."""
    for verdict in chunk:
        offset = verdict.letter.offset
        if not isinstance(verdict, Left):
            yield at, offset + 1
        at = offset + 1


def _as_it_is(topic: str, letter: Letter) -> Outgoing:
    message = letter.message
    return Outgoing(topic, letter.partition, message.key(), message.value(), headers_of(message), timestamp_of(message))


def _produce(producer: Producer, outgoing: Iterable[Outgoing]) -> None:
    for record in outgoing:
        while True:
            try:
                producer.produce(
                    record.topic, record.value, record.key, record.partition,
                    timestamp=record.timestamp, headers=record.headers,
                )  # fmt: skip
                break
            except BufferError:
                producer.poll(_ROOM_WAIT_S)
