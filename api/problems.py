"""Errors as `application/problem+json` (RFC 9457)."""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

Header = tuple[bytes, bytes]

CONTENT_TYPE: Header = (b"content-type", b"application/problem+json")
TITLES = {
    "invalid-request": "The request is malformed",
    "invalid-json": "The body is not JSON",
    "invalid-body": "The body does not fit the route",
    "invalid-input": "The input does not fit the model",
    "unauthorized": "A valid API key is needed",
    "unknown-model": "No such model or version",
    "model-unavailable": "The model cannot be served",
    "unknown-job": "No such job",
    "purged": "The job was purged",
    "not-found": "No such resource",
    "method-not-allowed": "The resource does not take this method",
    "too-large": "The body is too large",
    "head-too-large": "The request line and headers are too large",
    "uri-too-long": "The URL is too long",
    "timeout": "The request did not come in time",
    "unsupported-media-type": "The body's type or coding is not supported",
    "key-conflict": "The idempotency key belongs to another request",
    "not-available": "Not available yet",
    "overloaded": "Too much is waiting",
    "rate-limited": "Too many jobs in this time",
    "store-away": "The store cannot be reached",
    "payloads-away": "Where large payloads are kept cannot be reached",
    "payload-missing": "The result's payload is gone",
    "no-uploads": "Uploads are not set up",
    "unknown-run": "No such scoring run",
    "run-conflict": "The run id belongs to another request",
    "location-refused": "Scoring may not read or write there",
    "locations-away": "Where scoring reads and writes cannot be looked at",
    "unknown-upload": "No such upload",
    "upload-used": "The upload is another job's input",
    "upload-refused": "The upload's address is not valid",
    "upload-under-way": "The upload is being put already",
    "already-uploaded": "The upload is there already",
    "internal": "Internal error",
}
"""By the last part of the type's URI."""


class FieldError(Struct, frozen=True):
    field: str
    """Where in the body, e.g. `inputs.pixels`; a header or query parameter by its name."""
    message: str


class ProblemBody(Struct, frozen=True, omit_defaults=True):
    type: str
    title: str
    status: int
    detail: str
    errors: Sequence[FieldError] = ()


class Problem(Exception):
    """Raised anywhere in a request, answered as problem+json. `kind` is a key of TITLES."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        field: str | None = None,
        headers: Sequence[Header] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.field = field
        self.headers = headers

    def body(self) -> ProblemBody:
        errors = (FieldError(self.field, self.detail),) if self.field else ()
        return ProblemBody(f"/problems/{self.kind}", TITLES[self.kind], self.status, self.detail, errors)


encode = msgspec.json.Encoder().encode


def bad_request(detail: str, field: str | None = None) -> Problem:
    return Problem(400, "invalid-request", detail, field=field)


def invalid_body(detail: str, field: str | None = None) -> Problem:
    return Problem(422, "invalid-body", detail, field=field)


def unknown_job() -> Problem:
    return Problem(404, "unknown-job", "no job with this id")


def unknown_run() -> Problem:
    return Problem(404, "unknown-run", "no scoring run with this id")


def purged() -> Problem:
    return Problem(410, "purged", "the job was removed: at the end of its retention, or discarded")


def store_away(detail: str) -> Problem:
    return Problem(503, "store-away", detail, headers=((b"retry-after", b"2"),))


def payloads_away(detail: str) -> Problem:
    return Problem(503, "payloads-away", detail, headers=((b"retry-after", b"2"),))


def locations_away(detail: str) -> Problem:
    return Problem(503, "locations-away", detail, headers=((b"retry-after", b"2"),))


def overloaded(detail: str) -> Problem:
    return Problem(429, "overloaded", detail, headers=((b"retry-after", b"1"),))


def internal() -> Problem:
    return Problem(500, "internal", "unexpected error; the API's log has the details")
