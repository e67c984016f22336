"""JSON by input name in, JSON by output name out; nothing else is looked for."""

from collections.abc import Sequence

from confluent_kafka import Message

from pipelines.flow.in_place import Refused
from pipelines.stream.dead import Headers, headers_of
from pipelines.stream.formats.payloads import as_is


class PlainJson:
    """A `Format`. The value goes to the model as it is: what does not fit is found there, once."""

    def decode(self, messages: Sequence[Message]) -> list[bytes | Refused]:
        return as_is([message.value() for message in messages])

    def encode(self, messages: Sequence[Message], answers: Sequence[bytes]) -> list[bytes]:
        return list(answers)

    def headers(self, messages: Sequence[Message]) -> Sequence[Headers]:
        return [headers_of(message) for message in messages]
