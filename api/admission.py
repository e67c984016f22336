"""From a request's body to a Submission, or to the problem that is answered."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from api.problems import Problem
from pipelines import admission
from pipelines.admission import Kind, Origin, Refused
from pipelines.admission.body import parse
from pipelines.catalog import Catalog
from schemas.jobs import Submission
from schemas.submissions import Entry, Submit

T = TypeVar("T")

_PROBLEMS = {
    Kind.NOT_JSON: (400, "invalid-json"),
    Kind.BODY: (422, "invalid-body"),
    Kind.MODEL: (404, "unknown-model"),
    Kind.INPUT: (422, "invalid-input"),
    Kind.UPLOAD: (422, "unknown-upload"),
    Kind.UNAVAILABLE: (422, "not-available"),
}
_decode_submit = msgspec.json.Decoder(Submit).decode
_decode_entry = msgspec.json.Decoder(Entry).decode


class Admission:
    def __init__(self, catalog: Catalog, new_id: Callable[[], str]) -> None:
        self._admission = admission.Admission(catalog)
        self._new_id = new_id

    def one(self, raw: bytes, tenant: str, key: str | None, traceparent: str | None) -> Submission:
        """The submission in the body of POST /predict_async. Raises Problem."""
        try:
            wanted: Submit = parse(_decode_submit, raw)
            return self._admission.admit(wanted, raw, Origin(self._new_id(), tenant, key, traceparent))
        except Refused as refused:
            raise problem_of(refused) from None

    def entry(self, raw: bytes, tenant: str, traceparent: str | None) -> Submission:
        """The submission in one entry of a batch. Raises Problem."""
        try:
            wanted: Entry = parse(_decode_entry, raw)
            return self._admission.admit(
                wanted, raw, Origin(self._new_id(), tenant, wanted.idempotency_key, traceparent)
            )
        except Refused as refused:
            raise problem_of(refused) from None


def parsed(decode: Callable[[bytes], T], raw: bytes) -> T:
    """A body's JSON. Raises Problem."""
    try:
        return parse(decode, raw)
    except Refused as refused:
        raise problem_of(refused) from None


def problem_of(refused: Refused) -> Problem:
    status, kind = _PROBLEMS[refused.kind]
    return Problem(status, kind, refused.detail, field=refused.field)
