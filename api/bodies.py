"""The bodies that go in and out, and how bytes become them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from api.problems import Problem, ProblemBody, invalid_body
from schemas.jobs import DEFAULT_PRIORITY, JobView, Timings
from schemas.states import State

T = TypeVar("T")

MAX_DEPTH = 64
MAX_METADATA_BYTES = 16 << 10
MAX_EXPIRES_IN = 30 * 86_400.0

Priority = Annotated[int, Meta(ge=0, le=9)]
ExpiresIn = Annotated[float, Meta(gt=0, le=MAX_EXPIRES_IN)]


NULL = Raw(b"null")


class Submit(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /predict_async."""

    model: str
    inputs: Raw
    version: str | None = None
    priority: Priority = DEFAULT_PRIORITY
    expires_in: ExpiresIn | None = None
    """Seconds."""
    # msgspec takes no `Raw | None`; the factory keeps the default out of the JSON schema, where it is no JSON.
    webhook: Raw = field(default_factory=lambda: NULL)
    metadata: Raw = field(default_factory=lambda: NULL)


class Entry(Submit, frozen=True, forbid_unknown_fields=True):
    """One job of POST /predict_async/batch."""

    idempotency_key: Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")] | None = None


class Batch(Struct, frozen=True, forbid_unknown_fields=True):
    jobs: list[Raw]


class Links(Struct, frozen=True):
    self: str
    result: str
    cancel: str


class AcceptedBody(Struct, frozen=True):
    job_id: str
    status: State
    model: str
    version: str
    links: Links


class BatchBody(Struct, frozen=True):
    jobs: list[AcceptedBody | ProblemBody]


class Failure(Struct, frozen=True):
    reason: str
    message: str


class Times(Struct, frozen=True, omit_defaults=True):
    submitted_at: datetime
    started_at: datetime | UnsetType = UNSET
    finished_at: datetime | UnsetType = UNSET


class ResultBody(Struct, frozen=True, omit_defaults=True):
    job_id: str
    status: State
    model: str
    version: str
    attempt: int
    generation: int
    timings: Times
    result: Raw | UnsetType = UNSET
    error: Failure | UnsetType = UNSET
    metadata: Raw | UnsetType = UNSET
    links: Links | UnsetType = UNSET


encode = msgspec.json.Encoder().encode
decode_submit = msgspec.json.Decoder(Submit).decode
decode_entry = msgspec.json.Decoder(Entry).decode
decode_batch = msgspec.json.Decoder(Batch).decode
_decode_any = msgspec.json.Decoder().decode


def links(id: str) -> Links:
    result = f"/result/{id}"
    return Links(result, result, f"{result}/cancel")


def result_body(view: JobView) -> ResultBody:
    ended_badly = view.state is State.FAILED
    return ResultBody(
        job_id=view.id,
        status=view.state,
        model=view.model,
        version=view.version,
        attempt=view.attempt,
        generation=view.generation,
        timings=_times(view.timings),
        result=Raw(view.result) if view.result is not None else UNSET,
        error=Failure(str(view.reason or "unknown"), view.error or "") if ended_badly else UNSET,
        metadata=Raw(view.metadata) if view.metadata is not None else UNSET,
        links=links(view.id),
    )


def _times(timings: Timings) -> Times:
    return Times(_time(timings.submitted_at), _maybe(timings.started_at), _maybe(timings.finished_at))


def _time(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)


def _maybe(epoch: float | None) -> datetime | UnsetType:
    return UNSET if epoch is None else _time(epoch)


_AT = re.compile(r" - at `\$(?:\[\.\.\.\])?\.?(.*)`$")
_FIELD = re.compile(r"field `(.*)`")


def parse(decode: Callable[[bytes], T], raw: bytes) -> T:
    """Decode JSON, or 400 (not JSON, not UTF-8, too deep) or 422 (JSON of another shape) that names the field."""
    try:
        return decode(raw)
    except msgspec.ValidationError as fault:
        raise _misfit(str(fault)) from None
    except RecursionError:  # msgspec lets Python's own errors through
        raise _not_json(f"expected JSON nested at most {MAX_DEPTH} deep") from None
    except UnicodeError as fault:
        raise _not_json(f"expected UTF-8: {fault.__class__.__name__}") from None
    except msgspec.MsgspecError as fault:
        raise _not_json(str(fault)) from None


def check_text(raw: bytes) -> None:
    """400 unless `raw`, which is JSON, is UTF-8 without lone surrogates, and 422 for a U+0000 in any string.

    What a Raw field holds was only skipped over so far. Escapes are rare in inputs, so that this mostly costs two scans.
    """
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as fault:
            raise _not_json(f"expected UTF-8: byte {fault.start} is not") from None
    if b"\\u" in raw and has_nul(parse(_decode_any, raw)):
        raise invalid_body("expected text without U+0000")


def has_nul(value: Any) -> bool:
    pending = [value]
    while pending:
        match pending.pop():
            case str() as text if "\0" in text:
                return True
            case dict() as named:
                pending.extend(named)
                pending.extend(named.values())
            case list() as items:
                pending.extend(items)
    return False


def check_metadata(raw: bytes) -> bytes:
    if len(raw) > MAX_METADATA_BYTES:
        raise invalid_body(f"expected metadata of at most {MAX_METADATA_BYTES} bytes of JSON", "metadata")
    try:
        value = parse(_decode_any, raw)
    except Problem as problem:
        raise invalid_body(problem.detail, "metadata") from None
    if not isinstance(value, dict):
        raise invalid_body("expected metadata to be a JSON object", "metadata")
    if deeper_than(value, MAX_DEPTH):
        raise invalid_body(f"expected metadata nested at most {MAX_DEPTH} deep", "metadata")
    return raw


def deeper_than(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [child for outer in level for child in _children(outer)]
        if not level:
            return False
    return any(isinstance(value, dict | list) for value in level)


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _misfit(message: str) -> Problem:
    at = _AT.search(message)
    name = at.group(1) if at else ""
    if named := _FIELD.search(message):
        name = f"{name}.{named.group(1)}" if name else named.group(1)
    # Their length is the client's: an answer must not be.
    return invalid_body(message[:300].encode("utf-8", "replace").decode(), name[:100] or None)


def _not_json(detail: str) -> Problem:
    return Problem(400, "invalid-json", detail[:300])
