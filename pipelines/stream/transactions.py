"""Transactions of a Kafka producer (KIP-98, KIP-447), its faults told apart, and a producer that is broken replaced."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaException, Producer, TopicPartition

from pipelines.kafka.bounded import Hung, bounded
from pipelines.kafka.errors import error_of, is_fatal, is_fenced, is_refused, one_line
from pipelines.kafka.faults import Fenced, KafkaAway, KafkaRefused
from pipelines.stream.sinks import Outdated, Undone

START_PATIENCE_S = 30.0
CALL_S = 5.0
"""One call of the producer; it is called again while time is left."""
PAUSE_S = 0.1
HUNG_S = CALL_S + 1.0
"""A call that has not returned by then never does: its producer is given up."""
MOST_HUNG = 10
"""Each leaves a thread and a producer behind; a new process is better then."""


class Transactions:
    """A producer that is broken for good is replaced by a new one; the transactional id fences the old one's transaction."""

    def __init__(self, make: Callable[[], Producer], patience: float, tell: Callable[[str], None]) -> None:
        """`make`: a producer with its transactional id. `patience`: seconds that a call is repeated, within the
        transaction's time-out."""
        self._make = make
        self._patience = patience
        self._tell = tell
        self._group: Any = None
        self._open = False
        self._producer: Producer | None = None
        self._hung = 0

    def start(self) -> None:
        """Fences whatever went by this transactional id before. Raises KafkaAway and KafkaRefused."""
        self._producer = self._made()

    def begin(self, group: Any) -> None:
        """`group`: the consumer's group metadata of this moment. Raises Undone, KafkaAway and KafkaRefused."""
        self._group = group
        self.renew()
        assert self._producer is not None
        try:
            self._producer.begin_transaction()
        except KafkaException as fault:
            raise self._undone(fault, "begin") from fault
        self._open = True

    def send(self, produce: Callable[[Producer], None], what: str) -> None:
        """`what`: for the line that tells why it was undone. Raises Undone and KafkaRefused."""
        assert self._producer is not None
        try:
            produce(self._producer)
        except KafkaException as fault:
            raise self._undone(fault, what) from fault

    def commit_at(self, positions: Sequence[TopicPartition]) -> None:
        """All that was sent, and these next offsets. Raises Undone and KafkaRefused."""
        assert self._producer is not None
        producer = self._producer
        group = self._group
        self._patiently(lambda: producer.send_offsets_to_transaction(list(positions), group, CALL_S), "offsets")
        self._patiently(lambda: producer.commit_transaction(CALL_S), "commit")
        self._open = False

    def abort(self) -> None:
        if self._producer is None or not self._open:
            return
        producer = self._producer
        self._open = False
        try:
            self._patiently(lambda: producer.abort_transaction(CALL_S), "abort")
        except Undone as undone:  # then it is for the next producer's init to abort it
            self._tell(f"{undone}; starting another producer")
            self._drop()

    def renew(self) -> None:
        if self._producer is None:
            self._producer = self._made()

    def close(self) -> None:
        """What is open is aborted, by this or by who takes the name next."""
        if self._producer is not None:
            try:
                self.abort()
            except Fenced as fenced:
                self._tell(str(fenced))
            self._drop()

    def _patiently(self, call: Callable[[], None], what: str) -> None:
        until = time.monotonic() + self._patience
        while True:
            try:
                bounded(call, HUNG_S)
                return
            except KafkaException as fault:
                if not error_of(fault).retriable() or time.monotonic() > until:
                    raise self._undone(fault, what) from fault
            except Hung as hung:
                raise self._given_up(hung, what) from None
            time.sleep(PAUSE_S)

    def _undone(self, fault: KafkaException, what: str) -> Undone:
        error = error_of(fault)
        if is_refused(error):
            raise KafkaRefused(f"kafka: {what}: {one_line(fault)}") from fault
        told = f"kafka: {what}: {one_line(fault)}"
        if not (is_fenced(error) or is_fatal(error)):
            return Undone(told)
        self._drop()
        return Outdated(told)

    def _given_up(self, hung: Hung, what: str) -> Undone:
        """Closing the producer would hang as well: the next one fences it and ends its transaction."""
        self._producer, self._open = None, False
        self._hung += 1
        if self._hung > MOST_HUNG:
            raise KafkaRefused(f"kafka: {what}: {hung}, for the {self._hung}th time: start this process anew")
        return Undone(f"kafka: {what}: {hung}; starting another producer")

    def _drop(self) -> None:
        producer, self._producer, self._open = self._producer, None, False
        if producer is not None:
            with suppress(KafkaException):  # one that is broken for good complains once more
                producer.purge()
                producer.close()

    def _made(self) -> Producer:
        producer = self._make()
        until = time.monotonic() + START_PATIENCE_S
        while True:
            try:
                producer.init_transactions(CALL_S)
                return producer
            except KafkaException as fault:
                error = error_of(fault)
                if is_refused(error) or (is_fatal(error) and not is_fenced(error)):
                    raise KafkaRefused(f"kafka: transactions: {one_line(fault)}") from fault
                if not error.retriable() or time.monotonic() > until:
                    raise KafkaAway(f"kafka: no transactions: {one_line(fault)}") from fault
