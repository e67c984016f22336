"""A dead letter on a topic: the record as it was, and in headers why it is there."""

from confluent_kafka import Message
from msgspec import Struct

from schemas.reasons import Reason

PREFIX = "forebay.dlq."
LONGEST_ERROR = 1000

Headers = list[tuple[str, str | bytes | None]]


class Buried(Struct, frozen=True):
    """A record on its way to the dead letters."""

    message: Message
    reason: Reason
    error: str
    attempts: int


def headers_of(message: Message) -> Headers:
    """The record's own list: not to be changed."""
    headers = message.headers()
    return headers if isinstance(headers, list) else []


def dead_headers(buried: Buried, model: str, version: str, failed_at: float, left_behind: bool = False) -> Headers:
    """The record's own headers, without those of an earlier burial, and ours. `failed_at` in epoch seconds.

    `left_behind`: the record is larger than its dead letter may be. Then its value and headers stay at its place.
    """
    message = buried.message
    ours: dict[str, str] = {
        "reason": buried.reason,
        "error": buried.error[:LONGEST_ERROR],
        "topic": message.topic() or "",
        "partition": str(message.partition()),
        "offset": str(message.offset()),
        "attempts": str(buried.attempts),
        "model": model,
        "version": version,
        "failed-at": f"{failed_at:.3f}",
    }
    if left_behind:
        ours["value"] = "left behind: too large for this topic, read it at its offset"
    kept = [] if left_behind else [pair for pair in headers_of(message) if not pair[0].startswith(PREFIX)]
    return kept + [(PREFIX + name, value.encode()) for name, value in ours.items()]


def size_of(message: Message, headers: Headers, with_value: bool = True) -> int:
    """Bytes of value, key and headers."""
    own = (len(message.value() or b"") if with_value else 0) + len(message.key() or b"")
    return own + sum(len(name) + len(value or b"") + 10 for name, value in headers)


def timestamp_of(message: Message) -> int:
    """Milliseconds; 0 lets the producer take the time of sending."""
    kind, at = message.timestamp()
    return at if kind else 0
