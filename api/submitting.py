"""POST /predict_async and POST /predict_async/batch."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from msgspec import Raw
from starlette.types import Receive, Scope, Send

from api.admission import Admission, parsed
from api.backlog import Backlog
from api.bodies import AcceptedBody, Batch, BatchBody, decode_batch, encode, links
from api.claim_check import ClaimCheck
from api.deps import Limits
from api.grouping import Full
from api.http import RETRY_AFTER, Headers, check_media, headers_of, read_body, respond
from api.keys import TENANT
from api.metrics import Metrics
from api.polling import Polling, until_ended
from api.preferences import applied, idempotency_key, preferred_wait
from api.problems import Header, Problem, ProblemBody, bad_request, invalid_body, overloaded, store_away
from api.rates import Rates
from api.scribe import Scribe
from api.waiting import ended
from pipelines.store.port import StoreAway
from schemas.jobs import Accepted, RefConflict, Submission, SubmitOutcome
from schemas.trace import traceparent_of

T = TypeVar("T")
REPLAYED: Header = (b"idempotent-replayed", b"true")


class Submitting:
    def __init__(
        self,
        admission: Admission,
        scribe: Scribe,
        polling: Polling,
        backlog: Backlog,
        rates: Rates,
        claim_check: ClaimCheck,
        metrics: Metrics,
        limits: Limits,
        workers: Executor,
    ) -> None:
        self._admission = admission
        self._scribe = scribe
        self._polling = polling
        self._backlog = backlog
        self._claim_check = claim_check
        self._rates = rates
        self._metrics = metrics
        self._limits = limits
        self._workers = workers

    async def submit(self, scope: Scope, receive: Receive, send: Send) -> int:
        headers = headers_of(scope)
        check_media(headers)
        key = idempotency_key(headers)
        wait = preferred_wait(headers, self._limits.wait)
        self._backlog.check()
        body = await read_body(headers, receive, self._limits.body, self._claim_check.instead)
        tenant, trace = scope[TENANT], traceparent_of(headers.get(b"traceparent"))
        await self._rates.take(tenant, 1)
        submission = await self._decode(body, lambda: self._admission.one(body, tenant, key, trace))
        if self._claim_check.needs(submission):
            submission = await self._claim_check.check_in(submission)
        if wait:
            return await self._submit_and_wait(submission, wait, scope, receive, send)
        accepted = self._accepted(submission, (await self._commit([submission]))[0])
        await respond(send, 202, encode(accepted_body(accepted)), _headers(accepted))
        return 202

    async def batch(self, scope: Scope, receive: Receive, send: Send) -> int:
        headers = headers_of(scope)
        check_media(headers)
        _no_key(headers)
        self._backlog.check()
        body = await read_body(headers, receive, self._limits.body, self._claim_check.instead)
        tenant, trace = scope[TENANT], traceparent_of(headers.get(b"traceparent"))
        entries = await self._decode(body, lambda: self._entries(body, tenant, trace))
        if fit := sum(isinstance(entry, Submission) for entry in entries):
            await self._rates.take(tenant, fit)
        entries = await self._claim_check.check_in_all(entries)
        good = [entry for entry in entries if isinstance(entry, Submission)]
        outcomes = iter(await self._commit(good) if good else [])
        answers = [self._answer(entry, outcomes.__next__) for entry in entries]
        await respond(send, 202, encode(BatchBody(answers)), (RETRY_AFTER,))
        return 202

    # --- one submission ------------------------------------------------------------------------------------------
    async def _submit_and_wait(
        self, submission: Submission, wait: float, scope: Scope, receive: Receive, send: Send
    ) -> int:
        """200 with the result when the job ends in time, else 202."""
        # Registered before the commit, so that the notice of a fast worker is not missed.
        waiter = self._polling.waiting.register(submission.tenant, submission.id)
        try:
            accepted = self._accepted(submission, (await self._commit([submission]))[0])
            extra = (*_headers(accepted), applied(wait))
            if accepted.created:
                view = await until_ended(waiter, wait, receive)
            else:
                view = await self._polling.result(submission.tenant, accepted.id, wait, receive)
        finally:
            self._polling.waiting.forget(waiter)
        if not ended(view):
            await respond(send, 202, encode(accepted_body(accepted)), extra)
            return 202
        return await self._polling.answer(view, scope, send, tuple(header for header in extra if header != RETRY_AFTER))

    def _accepted(self, submission: Submission, outcome: SubmitOutcome) -> Accepted:
        """Raises the 422 of a conflict."""
        self._metrics.submitted(submission, outcome)
        if isinstance(outcome, Accepted):
            return outcome
        if isinstance(outcome, RefConflict):
            raise Problem(422, "upload-used", f"the upload is the input of job {outcome.id}", field="inputs_ref")
        raise Problem(
            422,
            "key-conflict",
            f"the idempotency key belongs to job {outcome.id}, which was submitted with another body",
            field="idempotency-key",
        )

    # --- many ----------------------------------------------------------------------------------------------------
    def _entries(self, body: bytes, tenant: str, trace: str | None) -> list[Submission | Problem]:
        batch: Batch = parsed(decode_batch, body)
        if not 1 <= len(batch.jobs) <= self._limits.jobs:
            raise invalid_body(f"expected 1 to {self._limits.jobs} jobs, got {len(batch.jobs)}", "jobs")
        return [self._entry(raw, tenant, trace) for raw in batch.jobs]

    def _entry(self, raw: Raw, tenant: str, trace: str | None) -> Submission | Problem:
        try:
            return self._admission.entry(bytes(raw), tenant, trace)
        except Problem as problem:
            return problem

    def _answer(self, entry: Submission | Problem, outcome: Callable[[], SubmitOutcome]) -> AcceptedBody | ProblemBody:
        try:
            if isinstance(entry, Problem):
                raise entry
            return accepted_body(self._accepted(entry, outcome()))
        except Problem as problem:
            return problem.body()

    # --- shared --------------------------------------------------------------------------------------------------
    async def _decode(self, body: bytes, decode: Callable[[], T]) -> T:
        """Small bodies on the loop, for a hop to a thread costs more than they do; large ones must not hold it up."""
        if len(body) <= self._limits.inline_bytes:
            return decode()
        return await asyncio.get_running_loop().run_in_executor(self._workers, decode)

    async def _commit(self, submissions: Sequence[Submission]) -> list[SubmitOutcome]:
        try:
            outcomes = await self._scribe.ask(submissions, sum(len(s.inputs) for s in submissions))
        except Full as full:
            raise overloaded(f"{full}: try again later") from None
        except StoreAway as away:
            raise store_away(f"nothing was confirmed: {away}") from None
        self._backlog.add(len(submissions))
        return outcomes


def accepted_body(accepted: Accepted) -> AcceptedBody:
    return AcceptedBody(accepted.id, accepted.state, accepted.model, accepted.version, links(accepted.id))


def _headers(accepted: Accepted) -> tuple[Header, ...]:
    location = (b"location", f"/result/{accepted.id}".encode())
    return (location, RETRY_AFTER) if accepted.created else (location, RETRY_AFTER, REPLAYED)


def _no_key(headers: Headers) -> None:
    if b"idempotency-key" in headers:
        raise bad_request("a batch takes no Idempotency-Key: give each job its own idempotency_key", "idempotency-key")
