"""Dead letters of a topic as records: what `--json` prints."""

from typing import TYPE_CHECKING, Any

import msgspec

from forebay.cli.output import iso

if TYPE_CHECKING:
    from pipelines.dead_topics.letter import Letter

FOREIGN = "no dead letter: its headers do not say where it came from"
SHOWN_BYTES = 64 * 1024
"""Of a value that is no JSON, or of a header."""


def letter(found: "Letter") -> dict[str, Any]:
    why = found.burial
    record: dict[str, Any] = {"id": found.id, "foreign": why is None, "replays": found.replays}
    if why is not None:
        record |= {
            "model": why.model,
            "version": why.version,
            "reason": why.reason,
            "error": why.error,
            "attempts": why.attempts,
            "failed_at": iso(why.failed_at),
            "topic": why.topic,
            "partition": why.partition,
            "offset": why.offset,
            "left_behind": why.left_behind,
        }
    return record | {"written_at": iso(found.written_at)}


def whole_letter(found: "Letter", settled: bool) -> dict[str, Any]:
    from pipelines.stream.dead import headers_of

    value = found.message.value()
    return letter(found) | {
        "settled": settled,
        "key": _shown(found.message.key()),
        "bytes": len(value or b""),
        **_value(value),
        "headers": [[name, _shown(given)] for name, given in headers_of(found.message)],
    }


def _value(value: bytes | None) -> dict[str, Any]:
    """JSON as it is; else the head of it in base64."""
    if value is None:
        return {"value": None}
    try:
        return {"value": msgspec.json.decode(value)}
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {"value_base64": value[:SHOWN_BYTES], "cut": len(value) > SHOWN_BYTES}


def _shown(given: str | bytes | None) -> str | None:
    """As text, and never more than a screen takes."""
    if isinstance(given, bytes):
        given = given[:SHOWN_BYTES].decode("utf-8", "replace")
    return given
