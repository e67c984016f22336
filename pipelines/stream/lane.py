"""The lane itself: read, run, write; commit every interval. One thread, one step at a time."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from confluent_kafka import Message
from msgspec import Struct

from pipelines.clock import Clock
from pipelines.flow.breaker import Breaker
from pipelines.flow.in_place import Answered, Refused, Runner
from pipelines.kafka.faults import KafkaAway, KafkaFault
from pipelines.stream.dead import Buried, headers_of, size_of
from pipelines.stream.formats.port import Format
from pipelines.stream.observer import StreamObserver
from pipelines.stream.positions import Partition, Spans, spans_of
from pipelines.stream.sinks import Outdated, Sink, Undone
from pipelines.stream.source import Source
from pipelines.stream.starts import Starts
from schemas.reasons import Reason
from schemas.verdicts import Dead, Done

LAG_EVERY_S = 1.0
FENCE_WAIT_S = 4.0
"""Longer than from one heartbeat of the group to the next: if another process has our name, the consumer knows it by then.
Another producer at once would fence that process instead."""
HEADROOM = 64 * 1024
"""Bytes of key and headers that fit beside an answer without counting."""


class LanePlan(Struct, frozen=True):
    model: str
    version: str
    chunk: int
    """Records that are read and run together, at most."""
    commit_interval: float = 0.1
    idle_wait: float = 0.2
    """Seconds that an empty read waits: how soon a stop is seen."""
    time_limit: float = 9.0
    """Of a transaction, in seconds: retries in place end before half of it is over."""
    max_deliveries: int = 5
    largest_output: int | None = None
    """Bytes of an answer that its topic takes."""
    first_pause: float = 0.2
    longest_pause: float = 5.0
    """After a transaction that came to nothing; doubling."""


class Lane:
    """Reads, runs and writes until it is stopped. Belongs to one thread."""

    def __init__(
        self, source: Source, format: Format, runner: Runner[bytes, bytes], sink: Sink, starts: Starts, clock: Clock,
        observer: StreamObserver, plan: LanePlan, sleep: Callable[[float], None],
    ) -> None:  # fmt: skip
        self._source = source
        self._format = format
        self._runner = runner
        self._sink = sink
        self._starts = starts
        self._clock = clock
        self._observer = observer
        self._plan = plan
        self._sleep = sleep
        self._breaker = Breaker(clock)
        self._begun: float | None = None
        """Monotonic; of the open transaction."""
        self._records = 0
        self._broken: str | None = None
        """Why the open transaction cannot be committed."""
        self._behind = False
        """Whether something is undone and where to go back to is not known yet."""
        self._failures = 0
        self.trouble: str | None = None
        """Why nothing was committed since the last that was: one line. Any thread may read it."""
        self._lag_at = 0.0
        self._watermarks: dict[Partition, float] = {}

    def open(self) -> None:
        self._source.subscribe(self)

    def step(self) -> int:
        """Read what is there, run it, write it, commit when it is time; how many records. Raises Fenced, KafkaRefused."""
        try:
            if self._behind:
                self._sleep(self._plan.longest_pause)
                self._go_back()
                return 0
            if self._rests():
                return 0
            messages = self._source.read(self._chunk(), self._wait())
            if self._broken is not None:  # a rebalance within the read
                raise Undone(self._broken)
            if messages:
                self._run(messages)
            if self._begun is not None and self._due():
                self._commit()
            return len(messages)
        except (Undone, KafkaAway) as undone:
            self._give_up(undone)
            return 0

    def finish(self) -> None:
        """Commit what is open. Raises Fenced; what cannot be committed is aborted, and read again by whoever comes next."""
        if self._begun is not None:
            try:
                self._commit()
            except (Undone, KafkaAway) as undone:
                self._note_undone(undone)
                self._sink.abort()

    def drained(self) -> bool:
        return self._begun is None and not self._behind and self._source.drained()

    # --- within a read ---------------------------------------------------------------------------------------------
    def came(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        self._starts.came(partitions)
        try:
            return self._sink.committed(partitions) or {}
        except Undone as undone:  # then it is known before anything is committed
            self._broken = str(undone)
            return {}

    def before_leaving(self) -> None:
        if self._begun is None:
            return
        try:
            self._commit()
        except (Undone, KafkaFault) as undone:
            self._broken = str(undone)

    def lost(self) -> None:
        if self._begun is not None:
            self._broken = "partitions were lost: another consumer may have them already"

    # --- a step's parts --------------------------------------------------------------------------------------------
    def _wait(self) -> float:
        if self._begun is None:
            return self._plan.idle_wait
        return min(self._plan.idle_wait, max(0.0, self._begun + self._plan.commit_interval - self._clock.monotonic()))

    def _due(self) -> bool:
        assert self._begun is not None
        return self._clock.monotonic() - self._begun >= self._plan.commit_interval

    def _time_left(self) -> float:
        begun = self._clock.monotonic() if self._begun is None else self._begun
        return begun + self._plan.time_limit / 2 - self._clock.monotonic()

    def _rests(self) -> bool:
        """While the breaker is open nothing is read, so that a broken deploy fills no dead letters; the group is kept."""
        left = self._breaker.pause_left(self._plan.model, self._plan.version)
        if left > 0:
            self._source.rest(min(left, self._plan.idle_wait))
            if self._broken is not None:
                raise Undone(self._broken)
        return left > 0

    def _chunk(self) -> int:
        return 1 if self._breaker.is_wary(self._plan.model, self._plan.version) else self._plan.chunk

    def _begin(self) -> None:
        if self._begun is None:
            self._sink.begin(self._source.group())
            self._begun = self._clock.monotonic()
            self._records = 0

    def _run(self, messages: Sequence[Message]) -> None:
        for together, starts in self._starts.sorted_out(messages):
            if starts:
                self._run_alone(together[0], starts)
            else:
                self._run_batch(together)

    def _run_batch(self, messages: Sequence[Message]) -> None:
        began = self._clock.monotonic()
        self._begin()
        spans = spans_of(messages)
        self._starts.begin(spans, 0)
        decoded = self._format.decode(messages)
        if all([type(raw) is bytes for raw in decoded]):  # noqa: C419  # a list is quicker here
            answers: Sequence[Answered] = self._runner.run(decoded, self._time_left)  # type: ignore[arg-type]  # bytes all
        else:
            answers = self._run_mixed(decoded)
        dead = self._write(messages, answers)
        self._ran(spans, len(messages))
        self._note_time(messages[-1])
        self._observer.batch(len(messages), dead, self._clock.monotonic() - began)

    def _run_mixed(self, decoded: Sequence[bytes | Refused]) -> list[Answered]:
        answers = iter(self._runner.run([raw for raw in decoded if isinstance(raw, bytes)], self._time_left))
        return [next(answers) if isinstance(raw, bytes) else raw for raw in decoded]

    def _run_alone(self, message: Message, starts: int) -> None:
        """A suspect: if it takes the process down, it is the only one that was started."""
        began = self._clock.monotonic()
        self._begin()
        spans = spans_of([message])
        self._starts.begin(spans, starts)
        dead = self._write([message], [self._alone(message, starts)])
        self._ran(spans, 1)
        self._observer.batch(1, dead, self._clock.monotonic() - began)

    def _alone(self, message: Message, starts: int) -> Answered:
        if starts >= self._plan.max_deliveries:
            error = f"started {starts} times in a row without an answer: it takes its process down with it"
            return Refused(Reason.CRASHED, error, starts)
        (decoded,) = self._format.decode([message])
        return decoded if isinstance(decoded, Refused) else self._runner.run([decoded], self._time_left, True)[0]

    def _ran(self, spans: Spans, records: int) -> None:
        self._starts.done()
        self._source.positions.ran(spans)
        self._records += records

    def _note_time(self, message: Message) -> None:
        """One record of a batch is enough to tell how old its partition is."""
        self._watermarks[message.topic() or "", message.partition() or 0] = message.timestamp()[1] / 1000

    def _write(self, messages: Sequence[Message], answers: Sequence[Answered]) -> dict[str, int]:
        """Answers to the output, the others to the dead letters; how many of these, by reason."""
        if not any([type(answer) is Refused for answer in answers]):  # noqa: C419  # a list is quicker here
            values = self._format.encode(messages, answers)  # type: ignore[arg-type]  # all bytes, by the check above
            if self._plan.largest_output is None or max(map(len, values)) <= self._plan.largest_output - HEADROOM:
                self._sink.write(messages, values)
                self._breaker.note(self._plan.model, self._plan.version, _ANSWERED)
                return {}
        return self._sort_out(messages, answers)

    def _sort_out(self, messages: Sequence[Message], answers: Sequence[Answered]) -> dict[str, int]:
        letters = [(m, answer) for m, answer in zip(messages, answers, strict=True) if isinstance(answer, Refused)]
        sources = [m for m, answer in zip(messages, answers, strict=True) if isinstance(answer, bytes)]
        values = self._format.encode(sources, [answer for answer in answers if isinstance(answer, bytes)])
        fitting = []
        for message, value in zip(sources, values, strict=True):
            size = len(value) + size_of(message, headers_of(message), with_value=False)
            if self._plan.largest_output is not None and size > self._plan.largest_output:
                letters.append((message, _too_large(size, self._plan.largest_output)))
            else:
                fitting.append((message, value))
        self._guard([refused for _, refused in letters], bool(fitting))
        self._sink.write([message for message, _ in fitting], [value for _, value in fitting])
        self._sink.bury([Buried(message, r.reason, r.error, r.attempts) for message, r in letters])
        return dict(Counter(str(refused.reason) for _, refused in letters))

    def _guard(self, refused: Sequence[Refused], answered: bool) -> None:
        """Raises Undone when so much fails in a row that it may be the deploy, not the records. After the pause they come
        one by one: the first answer ends it, and one that fails is buried, so that the partition moves on."""
        verdicts = [*(_ANSWERED if answered else ()), *(Dead(each.reason, each.error) for each in refused)]
        one_by_one = self._chunk() == 1
        if self._breaker.note(self._plan.model, self._plan.version, verdicts) and not one_by_one:
            left = self._breaker.pause_left(self._plan.model, self._plan.version)
            raise Undone(f"everything fails, the last with {refused[-1].error}; reading again in {left:.0f} s")

    def _commit(self) -> None:
        begun = self._clock.monotonic()
        offsets = self._source.positions.to_commit()
        self._sink.commit(offsets)
        self._source.positions.committed()
        self._starts.committed(offsets)
        self._begun = None
        self._failures = 0
        self.trouble = None
        now = self._clock.monotonic()
        self._observer.committed(self._records, now - begun)
        if now - self._lag_at >= LAG_EVERY_S:
            self._lag_at = now
            self._observer.lag(self._source.lag(), self._watermarks)

    def _give_up(self, undone: Undone | KafkaAway) -> None:
        """Nothing since the last commit happened: it is read again, after a pause."""
        self._note_undone(undone)
        self._sink.abort()
        if isinstance(undone, Outdated):
            with suppress(KafkaAway):  # going back is tried again below
                self._source.rest(FENCE_WAIT_S)
        self._failures += 1
        self._sleep(min(self._plan.longest_pause, self._plan.first_pause * 2.0 ** min(self._failures - 1, 10)))
        self._go_back()

    def _note_undone(self, undone: Undone | KafkaAway) -> None:
        self._observer.undone(str(undone))
        self.trouble = str(undone)
        self._broken = None
        self._begun = None
        self._behind = True

    def _go_back(self) -> None:
        """To where the last commit really stands: the answer to one may be lost, and the commit not. Until that is known
        nothing is read."""
        with suppress(KafkaAway, Undone):
            self._sink.renew()
            self._source.rewind(self._sink.committed(self._source.positions.owned))
            self._behind = False


_ANSWERED = (Done(b""),)
"""What the breaker has to know of a batch in which something was answered."""


def _too_large(size: int, largest: int) -> Refused:
    error = f"the answer with its key and headers has {size} bytes, its topic takes {largest}"
    return Refused(Reason.INVALID_OUTPUT, error, 1)
