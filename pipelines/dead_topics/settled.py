"""Which offsets of a partition are settled: a prefix, as every consumer group has it, and runs beyond it.

An offset that a group commits is a prefix; a replay by filter settles letters anywhere. The runs beyond the prefix are
kept in the metadata of the committed offset, as lengths in turn (Confluent's Parallel Consumer does the like), so that
nothing has to be copied and a letter's id stays.
"""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Iterable
from typing import Self

from msgspec import Struct

MOST_CHARACTERS = 4000
"""A broker takes 4096 bytes of metadata by default (offset.metadata.max.bytes)."""
_FORMAT = "settled-1:"

Span = tuple[int, int]
"""First offset, and the one behind the last."""


class NotOurs(ValueError):
    """Metadata that begins as ours and cannot be read."""


class Settled(Struct, frozen=True):
    base: int
    """All before it is settled; so much is what a group's offset can say."""
    runs: tuple[Span, ...] = ()
    """Settled beyond: ascending, apart from each other and from `base`."""

    def __contains__(self, offset: int) -> bool:
        at = bisect_right(self.runs, (offset, _BEYOND))
        return offset < self.base or (at > 0 and offset < self.runs[at - 1][1])

    def with_spans(self, spans: Iterable[Span]) -> Self:
        base, runs = self.base, list[Span]()
        for first, behind in sorted([*self.runs, *spans]):
            if first <= base:
                base = max(base, behind)
            elif runs and first <= runs[-1][1]:
                runs[-1] = (runs[-1][0], max(runs[-1][1], behind))
            else:
                runs.append((first, behind))
        return type(self)(base, tuple(runs))

    def open_spans(self, first: int, behind: int) -> list[Span]:
        """What is not settled in between."""
        at, spans = max(first, self.base), list[Span]()
        for start, end in (*self.runs, (behind, behind)):
            if at < min(start, behind):
                spans.append((at, min(start, behind)))
            at = max(at, end)
        return spans

    @property
    def metadata(self) -> str:
        """Lengths in turn from `base` on: open, settled, open, settled, …; empty when there are no runs."""
        if not self.runs:
            return ""
        packed, at = bytearray(), self.base
        for first, behind in self.runs:
            packed += _varint(first - at) + _varint(behind - first)
            at = behind
        return _FORMAT + base64.b64encode(packed).decode()

    @property
    def fits(self) -> bool:
        return len(self.metadata) <= MOST_CHARACTERS

    @classmethod
    def of(cls, base: int, metadata: str | None) -> Self:
        """What a group committed. Metadata that is somebody else's says nothing. Raises NotOurs."""
        if not metadata or not metadata.startswith(_FORMAT):
            return cls(base)
        lengths = _lengths(metadata.removeprefix(_FORMAT))
        at, runs = base, list[Span]()
        for open_, settled in zip(lengths[::2], lengths[1::2], strict=True):
            runs.append((at + open_, at + open_ + settled))
            at += open_ + settled
        return cls(base).with_spans(runs)


_BEYOND = 1 << 63


def _varint(number: int) -> bytes:
    """LEB128, as Protocol Buffers write it."""
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _lengths(text: str) -> list[int]:
    try:
        packed = base64.b64decode(text, validate=True)
    except binascii.Error as fault:
        raise NotOurs(str(fault)) from None
    lengths, number, shift = list[int](), 0, 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            lengths.append(number)
            number = shift = 0
    if shift or len(lengths) % 2:
        raise NotOurs("it ends in the middle")
    return lengths
