"""POST /scoring_runs, and GET /scoring_runs/{run_id}: the run as it is now, or as soon as it ends."""

from collections.abc import Callable, Sequence, Set
from typing import TypeAlias

from starlette.types import Receive, Scope, Send

from api.admission import problem_of
from api.bodies import encode
from api.calls import Calls
from api.deps import Limits, Scoring
from api.grouping import Full, Group
from api.http import RETRY_AFTER, check_media, headers_of, read_body, respond
from api.keys import TENANT
from api.polling import until_ended, wait_of
from api.preferences import applied
from api.problems import Header, Problem, invalid_body, overloaded, store_away, unknown_run
from api.rates import Rates
from api.reader import Named
from api.scoring_bodies import PATH, RunAcceptedBody, links, run_body
from api.submitting import REPLAYED
from api.waiting import Waiting
from pipelines.admission import Admission, Refused
from pipelines.admission.body import check_text, parse
from pipelines.scoring.apart import check_apart
from pipelines.scoring.faults import BadOrder
from pipelines.scoring.locations import LocationRefused, Locations
from pipelines.store.notices import Notices
from pipelines.store.port import StoreAway
from pipelines.store.scoring_port import RunAccepted, RunConflict, RunOutcome
from schemas.scoring_runs import RUN_ID, RunSubmission, RunView, ScoringRequest, ScoringSubmit, decode_submit
from schemas.states import TERMINAL

SeenRun: TypeAlias = RunView | None
"""None: no such run of this tenant."""

_MOST_BODY = 1 << 20
_BUSY_S = b"60"
"""Runs take minutes: sooner there is hardly room."""


class RunSubmitting:
    """Belongs to the event loop."""

    def __init__(
        self, scoring: Scoring, admission: Admission, notices: Notices, new_id: Callable[[], str], rates: Rates,
        store_calls: Calls, location_calls: Calls, limits: Limits,
    ) -> None:  # fmt: skip
        self._scoring = scoring
        self._admission = admission
        self._notices = notices
        self._new_id = new_id
        self._rates = rates
        self._store_calls = store_calls
        self._location_calls = location_calls
        self._limits = limits

    async def submit(self, scope: Scope, receive: Receive, send: Send) -> int:
        headers = headers_of(scope)
        check_media(headers)
        wanted = _wanted(await read_body(headers, receive, min(self._limits.body, _MOST_BODY)))
        tenant = scope[TENANT]
        await self._rates.take(tenant, 1)
        given = self._submission(wanted, tenant)
        await self._check_locations(given.request, tenant)
        scoring = self._scoring
        outcome = await self._store_calls(lambda: scoring.runs.submit(given, scoring.most_open))
        return await self._answer(_accepted(outcome), send)

    def _submission(self, wanted: ScoringSubmit, tenant: str) -> RunSubmission:
        try:
            found = self._admission.resolve(wanted.model, wanted.version)
        except Refused as refused:
            raise problem_of(refused) from None
        _check_passthrough(wanted.passthrough, {output.name for output in found.spec.outputs})
        return RunSubmission(wanted.run_id or self._new_id(), tenant, found.version, wanted.request())

    async def _check_locations(self, request: ScoringRequest, tenant: str) -> None:
        """They are kept as they were given: the worker checks them again, for what they lead to may change."""
        try:
            await self._location_calls(lambda: _check(self._scoring.locations, request, tenant))
        except LocationRefused as refused:
            raise Problem(403, "location-refused", str(refused), field=refused.field) from None
        except BadOrder as refused:
            raise invalid_body(str(refused), "output") from None

    async def _answer(self, accepted: RunAccepted, send: Send) -> int:
        view = accepted.view
        location: Header = (b"location", f"{PATH}/{view.run_id}".encode())
        extra = (location,) if accepted.created else (location, REPLAYED)
        if view.state in TERMINAL:
            await respond(send, 200, encode(run_body(view)), extra)
            return 200
        self._notices.work()
        body = RunAcceptedBody(view.run_id, view.state, links(view.run_id))
        await respond(send, 202, encode(body), (*extra, RETRY_AFTER))
        return 202


class RunPolling:
    """Belongs to the event loop."""

    def __init__(self, reader: Group[Named, SeenRun], waiting: Waiting[SeenRun], limits: Limits) -> None:
        self._reader = reader
        self._waiting = waiting
        self._limits = limits

    async def get(self, scope: Scope, receive: Receive, send: Send) -> int:
        run_id = scope["path"][len(PATH) + 1 :]
        if not RUN_ID.fullmatch(run_id):
            raise unknown_run()
        wait = wait_of(scope, self._limits.wait)
        seen = await self._seen(scope[TENANT], run_id, wait or 0.0, receive)
        if seen is None:
            raise unknown_run()
        headers = () if wait is None else (applied(wait),)
        over = seen.state in TERMINAL
        await respond(send, 200 if over else 202, encode(run_body(seen)), headers if over else (*headers, RETRY_AFTER))
        return 200 if over else 202

    async def _seen(self, tenant: str, run_id: str, wait: float, receive: Receive) -> SeenRun:
        """Ended, or as it is after `wait` seconds."""
        if not wait:
            return await self._read(tenant, run_id)
        waiter = self._waiting.register(tenant, run_id)
        try:
            seen = await self._read(tenant, run_id)
            if seen is None or ended(seen):
                return seen
            return await until_ended(waiter, wait, receive) or await self._read(tenant, run_id)
        finally:
            self._waiting.forget(waiter)

    async def _read(self, tenant: str, run_id: str) -> SeenRun:
        try:
            return (await self._reader.ask([(tenant, run_id)]))[0]
        except Full as full:
            raise overloaded(f"{full}: try again later") from None
        except StoreAway as away:
            raise store_away(str(away)) from None


def ended(seen: SeenRun) -> bool:
    return seen is not None and seen.state in TERMINAL


def run_reader(scoring: Scoring, limits: Limits) -> Group[Named, SeenRun]:
    """Runs asked for together are read by one statement for each tenant."""

    def read(names: Sequence[Named]) -> list[SeenRun]:
        ids: dict[str, list[str]] = {}
        for tenant, run_id in names:
            ids.setdefault(tenant, []).append(run_id)
        found = {tenant: scoring.runs.read(tenant, wanted) for tenant, wanted in ids.items()}
        return [found[tenant].get(run_id) for tenant, run_id in names]

    return Group("scoring runs", read, most=256, backlog=4 * limits.waiting, answer_within=limits.answer_within)


def _check(locations: Locations, request: ScoringRequest, tenant: str) -> None:
    """Raises LocationRefused, BadOrder."""
    admitted = locations.admitted(request, tenant)
    check_apart(admitted.input, admitted.output)


def _wanted(raw: bytes) -> ScoringSubmit:
    try:
        wanted = parse(decode_submit, raw)
        check_text(raw)
    except Refused as refused:
        raise problem_of(refused) from None
    return wanted


def _check_passthrough(names: Sequence[str], outputs: Set[str]) -> None:
    """What the worker would refuse for any input."""
    for place, name in enumerate(names):
        if name in outputs or name in names[:place]:
            what = "an output of the model" if name in outputs else "named twice"
            raise invalid_body(f"passthrough: {name!r} is {what}, expected another column", "passthrough")


def _accepted(outcome: RunOutcome) -> RunAccepted:
    match outcome:
        case RunAccepted():
            return outcome
        case RunConflict(view, differs):
            fields = ", ".join(differs)
            detail = (
                f"run id {view.run_id} belongs to a run that was asked for with another {fields}: choose another run_id"
            )
            raise Problem(422, "run-conflict", detail, field=differs[0])
        case _:
            detail = f"{outcome.open} scoring runs are queued or running: try again later"
            raise Problem(429, "overloaded", detail, headers=((b"retry-after", _BUSY_S),))
