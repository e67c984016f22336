"""`application/problem+json` (RFC 9457), as Forebay answers it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldFault:
    field: str
    """Where in the request, e.g. `inputs.pixels`; a header or query parameter by its name."""
    message: str


@dataclass(frozen=True)
class Problem:
    """Why a request, or one entry of a batch, was refused."""

    status: int
    detail: str
    title: str = ""
    type: str = "about:blank"
    errors: tuple[FieldFault, ...] = ()

    @property
    def kind(self) -> str:
        """The last part of `type`, e.g. `invalid-input`."""
        return self.type.rpartition("/")[2]

    @property
    def field(self) -> str | None:
        return self.errors[0].field if self.errors else None

    @classmethod
    def read(cls, status: int, body: Any) -> "Problem":
        """From decoded JSON; whatever a proxy may have answered instead still makes a problem."""
        if not isinstance(body, Mapping):
            return cls(status, f"the server answered {status} without a problem document")
        faults = body.get("errors")
        return cls(
            status=status,
            detail=str(body.get("detail") or body.get("title") or f"the server answered {status}"),
            title=str(body.get("title", "")),
            type=str(body.get("type", "about:blank")),
            errors=tuple(_faults(faults)) if isinstance(faults, list) else (),
        )


def _faults(faults: list[Any]) -> list[FieldFault]:
    return [FieldFault(str(f.get("field", "")), str(f.get("message", ""))) for f in faults if isinstance(f, Mapping)]
