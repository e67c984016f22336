"""How often records were started and not answered: what a crash leaves behind, so that its culprit is found.

Before a batch runs, the offsets in it are written down; after it ran, they are taken back. Who starts after a crash finds
them there, counts one start more, and runs each of these records alone. The file is written without sync: it has to
outlive a process, not a machine.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from confluent_kafka import Message
from msgspec import Struct

from pipelines.stream.positions import Partition, Spans

_SIZE = 1 << 20
"""Bytes of the file, at most."""


class Range(Struct, frozen=True, array_like=True):
    """Records that were started `starts` times in a row without an answer."""

    topic: str
    partition: int
    first: int
    last: int
    starts: int


class StartsFile:
    """Raises OSError when it cannot be written: without it a crash would go round for ever."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._longest = os.fstat(self._fd).st_size
        """Every write covers all that was ever written: no tail of an older one stays behind it."""

    def read(self) -> list[Range]:
        """The empty list for a file that is new or not ours to understand."""
        try:
            return msgspec.json.decode(os.pread(self._fd, _SIZE, 0).rstrip() or b"[]", type=list[Range])
        except msgspec.MsgspecError:
            return []

    def write(self, ranges: Sequence[Range]) -> None:
        text = msgspec.json.encode(ranges)
        if len(text) > self._longest:
            self._longest = min(_SIZE, len(text) * 2)
        os.pwrite(self._fd, text.ljust(self._longest), 0)

    def close(self) -> None:
        os.close(self._fd)


class Elsewhere(Protocol):
    """Where starts are kept beside the file: see starts_group.py."""

    def read(self, partitions: Sequence[Partition]) -> list[Range]: ...
    def note(self, ranges: Sequence[Range], surely: bool) -> None: ...


class Starts:
    """Called by one thread."""

    def __init__(self, file: StartsFile, elsewhere: Elsewhere) -> None:
        self._file = file
        self._elsewhere = elsewhere
        self._past = file.read()
        """Of processes before this one: suspects until an offset behind them is committed."""
        self._now: list[Range] = []

    def came(self, partitions: Sequence[Partition]) -> None:
        """These are ours now: what is known of them elsewhere counts too."""
        known = set(self._past)
        self._past += [each for each in self._elsewhere.read(partitions) if each not in known]

    def sorted_out(self, messages: Sequence[Message]) -> list[tuple[list[Message], int]]:
        """The same records in the same order, cut: those that may run together with 0, each suspect alone with how often it
        was started. Order is kept, for an offset that was started may lie behind one that was not."""
        if not self._past:
            return [(list(messages), 0)]
        cuts: list[tuple[list[Message], int]] = []
        for message in messages:
            starts = self._count(message)
            if starts or not cuts or cuts[-1][1]:
                cuts.append(([message], starts))
            else:
                cuts[-1][0].append(message)
        return cuts

    def begin(self, spans: Spans, starts: int) -> None:
        """These are started now, and were `starts` times before."""
        self._now = [Range(topic, number, first, last, starts + 1) for (topic, number), (first, last) in spans.items()]
        started = [*self._now, *self._past]
        self._file.write(started)
        self._elsewhere.note(started, surely=starts > 0)

    def done(self) -> None:
        """They are answered."""
        self._now = []
        self._file.write(self._past)

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Nothing before these offsets comes again."""
        if self._past:
            self._past = [each for each in self._past if each.last >= offsets.get((each.topic, each.partition), 0)]
            self._file.write(self._past)

    def _count(self, message: Message) -> int:
        topic, number, offset = message.topic(), message.partition(), message.offset()
        return max(
            (
                each.starts
                for each in self._past
                if each.topic == topic and each.partition == number and each.first <= (offset or 0) <= each.last
            ),
            default=0,
        )
