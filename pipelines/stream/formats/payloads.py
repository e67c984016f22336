"""What stands in a record's value, or in an event's data: how it is read, how an answer is written."""

from collections.abc import Sequence
from typing import Protocol

from pipelines.flow.in_place import Refused
from schemas.reasons import Reason


def refused(error: str) -> Refused:
    """What stands in the record does not fit, and never will."""
    return Refused(Reason.INVALID_INPUT, error, 1)


_NULL = refused("value: null, expected the model's inputs")


class Payload(Protocol):
    def __call__(self, values: Sequence[bytes | None]) -> list[bytes | Refused]:
        """What the model's `Inputs` read, for each in order. Raises Undone when what is needed to read it is away."""
        ...


class Output(Protocol):
    content_type: str
    """A media type."""

    def __call__(self, answers: Sequence[bytes]) -> list[bytes]:
        """`answers` are JSON by output name."""
        ...


def as_is(values: Sequence[bytes | None]) -> list[bytes | Refused]:
    """JSON and raw tensors: the model's `Inputs` read these bytes themselves."""
    return [_NULL if value is None else value for value in values] if None in values else list(values)  # type: ignore[arg-type]  # no None among them


class JsonOutput:
    content_type = "application/json"

    def __call__(self, answers: Sequence[bytes]) -> list[bytes]:
        return list(answers)
