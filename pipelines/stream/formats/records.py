"""Whole records: the payload within, CloudEvents around it, fields that pass through."""

from collections.abc import Sequence

from confluent_kafka import Message

from pipelines.flow.in_place import Refused
from pipelines.stream.dead import Headers, headers_of
from pipelines.stream.formats.events import Event, Events, is_of_an_event
from pipelines.stream.formats.passthrough import Passthrough
from pipelines.stream.formats.payloads import Output, Payload


class Records:
    """A `Format`. Records whose headers tell of no event, nor of a content type, are read as they are: a batch of such is
    recognised by the names in its headers, once."""

    def __init__(
        self, payload: Payload, output: Output, events: Events, passthrough: Passthrough | None, bare: bool = False
    ) -> None:
        """`bare`: values are the answers themselves, never events, as a table wants them."""
        self._payload = payload
        self._output = output
        self._events = events
        self._passthrough = passthrough
        self._bare = bare

    def decode(self, messages: Sequence[Message]) -> list[bytes | Refused]:
        if _tells(messages):
            decoded = self._decoded(messages, self._found(messages))
        else:
            decoded = self._payload([message.value() for message in messages])
        return decoded if self._passthrough is None else self._passthrough.checked(decoded)

    def encode(self, messages: Sequence[Message], answers: Sequence[bytes]) -> list[bytes]:
        found = self._found(messages) if _tells(messages) else None
        if self._passthrough is not None:
            sources = self._decoded(messages, found or [None] * len(messages))
            answers = self._passthrough.splice(sources, answers)
        values = self._output(answers)
        if found is None or self._bare:
            return values
        return [
            self._events.value(event, message, value) if isinstance(event, Event) else value
            for event, message, value in zip(found, messages, values, strict=True)
        ]

    def headers(self, messages: Sequence[Message]) -> Sequence[Headers]:
        if _tells(messages):
            return [self._told(message) for message in messages]
        return [headers_of(message) for message in messages]

    def _told(self, message: Message) -> Headers:
        given = headers_of(message)
        event = self._events.read(message, given)
        if isinstance(event, Event):
            return self._events.headers(event, message, given)
        if not any(name.lower() == "content-type" for name, _ in given):
            return given
        kept = [pair for pair in given if pair[0].lower() != "content-type"]
        return [*kept, ("content-type", self._output.content_type.encode())]

    def _found(self, messages: Sequence[Message]) -> list[Event | Refused | None]:
        return [self._events.read(message, headers_of(message)) for message in messages]

    def _decoded(self, messages: Sequence[Message], found: Sequence[Event | Refused | None]) -> list[bytes | Refused]:
        values = [
            event.data if isinstance(event, Event) else message.value()
            for message, event in zip(messages, found, strict=True)
            if not isinstance(event, Refused)
        ]
        read = iter(self._payload(values))
        return [event if isinstance(event, Refused) else next(read) for event in found]


def _tells(messages: Sequence[Message]) -> bool:
    """Whether any header speaks of an event or of a content type."""
    return any([is_of_an_event(name) for name in {name for message in messages for name, _ in headers_of(message)}])  # noqa: C419
