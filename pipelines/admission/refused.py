"""Why a submission is none."""

from enum import Enum, auto


class Kind(Enum):
    NOT_JSON = auto()
    BODY = auto()
    """JSON of another shape."""
    MODEL = auto()
    """No such model or version."""
    INPUT = auto()
    """It does not fit the model."""
    UPLOAD = auto()
    """Names no upload."""
    UNAVAILABLE = auto()
    """Asked for what is not there yet."""


class Refused(Exception):
    """Names the field (when there is one), what is wrong and what was expected."""

    def __init__(self, kind: Kind, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.field = field

    def __str__(self) -> str:
        named = self.field is None or self.field in self.detail
        return self.detail if named else f"{self.field}: {self.detail}"


def misfit(detail: str, field: str | None = None) -> Refused:
    return Refused(Kind.BODY, detail, field)
