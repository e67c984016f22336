"""A record of a dead-letter topic, and what its headers say."""

import math

from confluent_kafka import Message
from msgspec import Struct

from pipelines.stream.dead import PREFIX, Headers, headers_of
from schemas.dead_letters import DeadLetterFilter

REPLAYS = "forebay.replays"
"""How often a record was replayed. No header of ours that a new burial takes off: it is the record's from then on."""


class Burial(Struct, frozen=True):
    """Why a record is here, and where it came from."""

    topic: str
    partition: int
    offset: int
    reason: str
    error: str
    attempts: int
    model: str
    version: str
    failed_at: float
    """Epoch seconds."""
    left_behind: bool
    """Its value and headers were too large for this topic: they are at its place in the input."""


class Letter(Struct, frozen=True):
    message: Message
    burial: Burial | None
    """None: a foreign record, which no stream wrote here."""

    @property
    def partition(self) -> int:
        return self.message.partition() or 0

    @property
    def offset(self) -> int:
        return self.message.offset() or 0

    @property
    def id(self) -> str:
        return f"{self.partition}:{self.offset}"

    @property
    def written_at(self) -> float | None:
        """The record's own time, epoch seconds."""
        kind, at = self.message.timestamp()
        return at / 1000 if kind else None

    @property
    def replays(self) -> int:
        return replays_of(headers_of(self.message))

    def matches(self, wanted: DeadLetterFilter) -> bool:
        """A foreign record has no model, reason or time of failure: only its id selects it, or no filter at all."""
        if wanted.ids and self.id not in wanted.ids:
            return False
        found = self.burial
        if found is None:
            return wanted == DeadLetterFilter(ids=wanted.ids)
        return (
            wanted.model in (None, found.model)
            and wanted.version in (None, found.version)
            and wanted.reason in (None, found.reason)
            and (wanted.error is None or wanted.error in found.error)
            and (wanted.since is None or found.failed_at >= wanted.since)
            and (wanted.until is None or found.failed_at < wanted.until)
        )


def read(message: Message) -> Letter:
    return Letter(message, _burial(message))


def id_of(text: str) -> tuple[int, int] | None:
    """Partition and offset of `3:17`; None when it is no such thing."""
    partition, colon, offset = text.partition(":")
    if not (colon and partition.isdecimal() and offset.isdecimal() and text.isascii()):
        return None
    return int(partition), int(offset)


def replays_of(headers: Headers) -> int:
    """0 where it was never replayed."""
    return max((_whole(value) or 0 for name, value in headers if name == REPLAYS), default=0)


def _burial(message: Message) -> Burial | None:
    ours = {name.removeprefix(PREFIX): value for name, value in headers_of(message) if name.startswith(PREFIX)}
    topic, partition, offset = _text(ours.get("topic")), _whole(ours.get("partition")), _whole(ours.get("offset"))
    if not topic or partition is None or offset is None:
        return None
    return Burial(
        topic=topic,
        partition=partition,
        offset=offset,
        reason=_text(ours.get("reason")),
        error=_text(ours.get("error")),
        attempts=_whole(ours.get("attempts")) or 0,
        model=_text(ours.get("model")),
        version=_text(ours.get("version")),
        failed_at=_seconds(ours.get("failed-at")),
        left_behind="value" in ours,
    )


def _text(value: str | bytes | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""


def _whole(value: str | bytes | None) -> int | None:
    text = _text(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _seconds(value: str | bytes | None) -> float:
    try:
        found = float(_text(value))
    except ValueError:
        return 0.0
    return found if math.isfinite(found) else 0.0
