"""The port: from a record to a model's inputs, and from an answer to a record."""

from collections.abc import Sequence
from typing import Protocol

from confluent_kafka import Message

from pipelines.flow.in_place import Refused
from pipelines.stream.dead import Headers


class Format(Protocol):
    """Of one model. Called by one thread."""

    def decode(self, messages: Sequence[Message]) -> list[bytes | Refused]:
        """What the model's `Inputs` read, for each record in order, or why there is none. Never raises for what is in a
        record; raises Undone when what is needed to read it is away."""
        ...

    def encode(self, messages: Sequence[Message], answers: Sequence[bytes]) -> list[bytes]:
        """The output record's value for each; `answers` are JSON by output name."""
        ...

    def headers(self, messages: Sequence[Message]) -> Sequence[Headers]:
        """Those of the output records, without the writer's own. They are not to be changed: they may be the records'."""
        ...
