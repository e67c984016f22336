"""CloudEvents 1.0 on Kafka: binary mode, with attributes in `ce_` headers, and structured mode, all in the value."""

from datetime import UTC, datetime
from hashlib import sha256

import msgspec
from confluent_kafka import Message
from msgspec import UNSET, Raw, Struct, UnsetType

from pipelines.flow.in_place import Refused
from pipelines.stream.dead import Headers, timestamp_of
from pipelines.stream.formats.payloads import refused

ENVELOPE = "application/cloudevents+json"
PREDICTION = "forebay.prediction"
CARRIED = ("traceparent", "tracestate", "correlationid")
"""Extensions that go on to the answer."""
_YEAR_10000_MS = 253_402_300_800_000


class _Envelope(Struct, gc=False):
    specversion: str
    id: str
    source: str
    type: str
    data: Raw | UnsetType = UNSET
    data_base64: bytes | UnsetType = UNSET
    traceparent: str | UnsetType = UNSET
    tracestate: str | UnsetType = UNSET
    correlationid: str | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Envelope).decode


class Event(Struct, frozen=True, gc=False):
    """What of an event is needed here."""

    id: str
    source: str
    structured: bool
    data: bytes | None
    extensions: dict[str, str]


class Events:
    """Recognises events, and makes the answers to them events in the same mode. Of one model version."""

    def __init__(self, model: str, version: str, content_type: str) -> None:
        """`content_type`: of the answers."""
        self._model = model
        self._version = version
        self._content_type = content_type
        self._json = content_type == "application/json"

    def read(self, message: Message, given: Headers) -> Event | Refused | None:
        """None: no event. `given`: the record's headers."""
        found = {name.lower(): value for name, value in given}
        content_type = _text(found.get("content-type")).lower()
        if content_type.startswith("application/cloudevents"):
            return _structured(content_type, message.value())
        return _binary(found, message.value()) if "ce_specversion" in found else None

    def value(self, event: Event, message: Message, answer: bytes) -> bytes:
        """Of the output record; `answer` is of the content type."""
        if not event.structured:
            return answer
        data = {"data": Raw(answer)} if self._json else {"data_base64": answer}
        return msgspec.json.encode({**self._attributes(event, message), "datacontenttype": self._content_type, **data})

    def headers(self, event: Event, message: Message, given: Headers) -> Headers:
        """Of the output record: those that are no attributes stay."""
        if event.structured:
            return given
        kept = [pair for pair in given if not is_of_an_event(pair[0])]
        ours = [("ce_" + name, value.encode()) for name, value in self._attributes(event, message).items()]
        return [*kept, *ours, ("content-type", self._content_type.encode())]

    def _attributes(self, event: Event, message: Message) -> dict[str, str]:
        """The id is made of the input's: a rerun writes the same."""
        name = "\0".join((event.source, event.id, self._model, self._version))
        return {
            "specversion": "1.0",
            "id": sha256(name.encode(errors="replace")).hexdigest()[:32],
            "source": f"/forebay/{self._model}/{self._version}",
            "type": PREDICTION,
            **_time(message),
            **event.extensions,
        }


def _time(message: Message) -> dict[str, str]:
    at = timestamp_of(message)
    if not 0 < at < _YEAR_10000_MS:  # a producer may put any number there
        return {}
    return {"time": f"{datetime.fromtimestamp(at // 1000, UTC).isoformat()[:19]}.{at % 1000:03}Z"}


def _structured(content_type: str, value: bytes | None) -> Event | Refused:
    if content_type.partition(";")[0].strip() != ENVELOPE:
        return refused(f"content-type: {content_type[:64]!r}, expected {ENVELOPE}")
    try:
        envelope = _decode(value or b"")
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as fault:
        return refused(f"value: no CloudEvent: {' '.join(str(fault).split())[:200]}")
    faulty = _faulty("", envelope.specversion, envelope.id, envelope.source)
    if faulty is not None:
        return faulty
    data = envelope.data_base64 if envelope.data is UNSET else bytes(envelope.data)
    extensions = {name: value for name in CARRIED if (value := getattr(envelope, name)) is not UNSET}
    return Event(envelope.id, envelope.source, True, None if data is UNSET else data, extensions)


def _binary(found: dict[str, str | bytes | None], value: bytes | None) -> Event | Refused:
    version, id, source = (_text(found.get(f"ce_{name}")) for name in ("specversion", "id", "source"))
    faulty = _faulty("ce_", version, id, source)
    if faulty is not None:
        return faulty
    extensions = {name: _text(found[f"ce_{name}"]) for name in CARRIED if f"ce_{name}" in found}
    return Event(id, source, False, value, extensions)


def _faulty(prefix: str, version: str, id: str, source: str) -> Refused | None:
    if version != "1.0":
        return refused(f"{prefix}specversion: {version[:16]!r}, expected '1.0'")
    missing = [name for name, value in (("id", id), ("source", source)) if not value]
    return refused(f"{prefix}{missing[0]}: missing, expected with every CloudEvent") if missing else None


def is_of_an_event(name: str) -> bool:
    lower = name.lower()
    return lower.startswith("ce_") or lower == "content-type"


def _text(value: str | bytes | None) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value or ""
