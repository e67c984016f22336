"""Jobs that another service put on the job queue itself: `{"id"?, "model", "inputs", …}`. Their rows are made here, before
they are claimed as any other; what the API would refuse becomes a job that is dead from the start, never nothing."""

import hashlib
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Raw, Struct, structs

from pipelines.admission.admission import Admission, Origin
from pipelines.admission.body import parse
from pipelines.admission.refused import Refused, misfit
from pipelines.ports import Message
from pipelines.store.port import Store
from schemas.jobs import MAX_ID_CHARS, Accepted, IdConflict, Purged, Submission, SubmitOutcome, is_id
from schemas.model_spec import NAME
from schemas.positions import id_by_content, id_of
from schemas.reasons import Reason
from schemas.strays import Stray
from schemas.submissions import DirectSubmit
from schemas.trace import traceparent_of
from schemas.verdicts import Dead

NO_VERSION = "unknown"
_MAX_VERSION = 16


class Direct(Struct, frozen=True):
    """Names a model, so that a job can be made of it, living or dead."""

    as_it_came: Stray
    """Kept so when no job can be made after all."""
    origin: str
    sketch: "Sketch"
    received: int = 0
    """How often the broker has handed it out, where it counts that."""
    doom: Dead | None = None
    """Decided by the broker: it gave the message up."""


class Sketch(Struct, frozen=True):
    """The little that even a job that is refused has to have."""

    model: str
    inputs: Raw = Raw(b"null")
    id: Any = None
    version: Any = None


class _Made(Struct, frozen=True):
    submission: Submission
    doom: Dead | None = None


Adopted: TypeAlias = Message | Stray
_Outcome: TypeAlias = SubmitOutcome | Purged


def direct_of(stray: Stray, origin: str) -> Direct | None:
    """None when this is not even the sketch of a job."""
    raw = stray.raw or b""
    try:
        raw.decode()
        sketch = _decode_sketch(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return Direct(stray, origin, sketch) if NAME.fullmatch(sketch.model) else None


class Adopter:
    """Called by one thread."""

    def __init__(self, store: Store, admission: Admission, tenant: str) -> None:
        """`tenant`: of every job on this queue, by the queue's settings."""
        self._store = store
        self._admission = admission
        self._tenant = tenant

    def adopt(self, directs: Sequence[Direct]) -> list[Adopted]:
        """Make a row of each, together; what has one already keeps it, and what had one that was purged gets no second. In
        order, a message for each row. Raises StoreAway: call again."""
        made = [self._make(direct) for direct in directs]
        outcomes = self._submit([each.submission for each in made])
        for remake in (self._without_what_is_taken, self._with_an_id_by_content):
            clashes = [place for place, each in enumerate(made) if not _stands(each.submission, outcomes[place])]
            if not clashes:
                break
            for place in clashes:
                made[place] = remake(directs[place], made[place], outcomes[place])
            again = self._submit([made[place].submission for place in clashes])
            for place, outcome in zip(clashes, again, strict=True):
                outcomes[place] = outcome
        return [_message(*each) for each in zip(directs, made, outcomes, strict=True)]

    def _submit(self, submissions: Sequence[Submission]) -> list[_Outcome]:
        """A broker may deliver again long after the job ended: later than its row is kept, but not than its tombstone."""
        gone = self._store.purged(self._tenant, [submission.id for submission in submissions])
        outcomes = iter(self._store.submit([submission for submission in submissions if submission.id not in gone]))
        return [Purged(each.id) if each.id in gone else next(outcomes) for each in submissions]

    def _make(self, direct: Direct) -> _Made:
        raw = direct.as_it_came.raw or b""
        try:
            wanted: DirectSubmit = parse(_decode_direct, raw)
            if wanted.id is not None and not is_id(wanted.id):
                raise misfit(f"id: expected 1 to {MAX_ID_CHARS} visible ASCII characters without '/'", "id")
            if wanted.inputs_ref is not None:
                raise misfit("inputs_ref: uploads are for the API, expected inputs", "inputs_ref")
            id = wanted.id or id_of(direct.origin)
            trace = traceparent_of(dict(direct.as_it_came.headers).get("traceparent"))
            origin = Origin(id, self._tenant, wanted.idempotency_key, trace, direct.origin)
            return _Made(self._admission.admit(wanted, raw, origin))
        except Refused as refused:
            return self._doomed(direct, str(refused))

    def _doomed(self, direct: Direct, error: str) -> _Made:
        sketch = direct.sketch
        given = sketch.id if isinstance(sketch.id, str) and is_id(sketch.id) else None
        submission = Submission(
            id=given or id_of(direct.origin),
            tenant=self._tenant,
            model=sketch.model,
            version=self._admission.version_of(sketch.model, sketch.version) or _shown_version(sketch.version),
            inputs=bytes(sketch.inputs),
            digest=hashlib.sha256(direct.as_it_came.raw or b"").digest(),
            origin=direct.origin,
        )
        return _Made(submission, Dead(Reason.INVALID_INPUT, error))

    def _without_what_is_taken(self, direct: Direct, made: _Made, outcome: _Outcome) -> _Made:
        """Its id or its key is another job's: a job of its own says so. An id that was made here is nobody's mistake: the
        topic was made anew and counts from 0 again."""
        assert not isinstance(outcome, Accepted)
        own = id_of(direct.origin)
        if isinstance(outcome, IdConflict | Purged) and outcome.id == own and made.submission.id == own:
            return self._with_an_id_by_content(direct, made, outcome)
        taken = "id" if isinstance(outcome, IdConflict) else "idempotency_key"
        error = f"{taken}: belongs to job {outcome.id}, which was submitted with another body"
        doomed = self._doomed(direct, error)
        return _Made(structs.replace(doomed.submission, id=own), doomed.doom)

    def _with_an_id_by_content(self, direct: Direct, made: _Made, outcome: _Outcome) -> _Made:
        id = id_by_content(direct.origin, made.submission.digest)
        return _Made(structs.replace(made.submission, id=id), made.doom)


def _stands(submission: Submission, outcome: _Outcome) -> bool:
    """Whether there is nothing to remake. Of an id made of a place, only its content tells which message's job was purged."""
    return isinstance(outcome, Accepted) or (isinstance(outcome, Purged) and outcome.id != id_of(submission.origin))


def _message(direct: Direct, made: _Made, outcome: _Outcome) -> Adopted:
    match outcome:
        case Accepted(id):
            return Message(
                id, 0, model=outcome.model, received=direct.received, tenant=made.submission.tenant,
                doom=made.doom or direct.doom,
            )  # fmt: skip
        case Purged(id) if id == id_by_content(direct.origin, made.submission.digest):
            return Message(
                id, 0, tenant=made.submission.tenant
            )  # no row has it: the claim is refused, the message settled
        case Purged(id):
            return structs.replace(direct.as_it_came, error=f"no job was made of it: job {id} was purged")
        case _:
            return structs.replace(direct.as_it_came, error=f"no job could be made of it: its id is job {outcome.id}'s")


def _shown_version(given: Any) -> str:
    return given if isinstance(given, str) and NAME.fullmatch(given) and len(given) <= _MAX_VERSION else NO_VERSION


_decode_direct = msgspec.json.Decoder(DirectSubmit).decode
_decode_sketch = msgspec.json.Decoder(Sketch).decode
