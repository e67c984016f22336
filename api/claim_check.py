"""The claim check of the API: large inputs are put before their rows are committed, large results are brought when asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeAlias

from msgspec.structs import replace

from api.calls import PAYLOADS, Bounds, Calls
from api.deps import Large, Limits
from api.problems import Problem
from pipelines.catalog import Catalog
from pipelines.inputs.bounds import most_upload_bytes
from pipelines.payloads.deposits import Looking
from pipelines.payloads.port import Found, PayloadMissing
from schemas.jobs import JobView, Submission

_THREADS = 16
_MOST = 1024

_INSTEAD = "; put a larger input where POST /uploads says, and submit its id as inputs_ref"
Keyed: TypeAlias = Callable[[str, Sequence[str]], Awaitable[set[str]]]
"""Which of a tenant's idempotency keys have their job. Raises Problem."""


class ClaimCheck:
    """Belongs to the event loop."""

    def __init__(self, large: Large | None, limits: Limits, keyed: Keyed, catalog: Catalog) -> None:
        self._large = large
        self._keyed = keyed
        self._catalog = catalog
        self._inline = (1 << 62) if large is None else large.deposits.inline
        self._looking = Looking(None if large is None else large.deposits.payloads)
        within = limits.answer_within if large is None else large.within
        self._carry = Calls(PAYLOADS, Bounds(_THREADS, _MOST, within, limits.waiting_bytes))
        self.instead = "" if large is None or large.max_upload <= limits.body else _INSTEAD
        """What to do with a body that is too large."""

    def needs(self, submission: Submission) -> bool:
        return submission.inputs_ref is not None or len(submission.inputs) > self._inline

    async def check_in(self, submission: Submission) -> Submission:
        """The same, as its row will be: a large input is put and named; what names an upload was looked up. What has its job
        by its key stays as it is: the upload of a retry may be long gone (I2). Raises Problem."""
        return submission if await self._with_jobs([submission]) else await self._checked(submission)

    async def check_in_all(self, entries: Sequence[Submission | Problem]) -> list[Submission | Problem]:
        """One outcome each, in order. Raises Problem when the store is away."""
        needing = [entry for entry in entries if isinstance(entry, Submission) and self.needs(entry)]
        if not needing:
            return list(entries)
        known = await self._with_jobs(needing)
        unchecked = {entry.id for entry in needing if entry.idempotency_key not in known}
        return list(await asyncio.gather(*(self._entry(entry, unchecked) for entry in entries)))

    async def whole(self, view: JobView) -> JobView:
        """The job with its result. Raises Problem."""
        try:
            return await self._carry(lambda: self._looking.result(view))
        except PayloadMissing as missing:
            raise Problem(
                410, "payload-missing", f"job {view.id} succeeded, but its result is gone: {missing}"
            ) from None

    def stop(self) -> None:
        self._carry.stop()

    async def _with_jobs(self, submissions: Sequence[Submission]) -> set[str]:
        """The keys, of one tenant's submissions, that have their jobs."""
        keys = [each.idempotency_key for each in submissions if each.idempotency_key is not None]
        return await self._keyed(submissions[0].tenant, keys) if keys else set()

    async def _checked(self, submission: Submission) -> Submission:
        if self._large is None:
            raise Problem(422, "no-uploads", "no uploads are set up here (FOREBAY_PAYLOADS)", field="inputs_ref")
        if submission.inputs_ref is not None:
            return await self._uploaded(self._large, submission, submission.inputs_ref)
        deposits = self._large.deposits
        return await self._carry(lambda: deposits.of_submission(submission), len(submission.inputs))

    async def _entry(self, entry: Submission | Problem, unchecked: Collection[str]) -> Submission | Problem:
        if not isinstance(entry, Submission) or entry.id not in unchecked:
            return entry
        try:
            return await self._checked(entry)
        except Problem as problem:
            return problem

    async def _uploaded(self, large: Large, submission: Submission, ref: str) -> Submission:
        found: Found | None = await self._carry(lambda: large.uploads.found(ref))
        if found is None or found.size == 0:
            raise unknown_upload("nothing was uploaded under this id")
        if found.age > large.submit_within:
            raise unknown_upload(f"it was uploaded {found.age / 3600:.0f} hours ago: upload it again")
        if found.size > large.max_upload:
            detail = f"the upload has {found.size} bytes, expected at most {large.max_upload}"
            raise Problem(413, "too-large", detail, field="inputs_ref")
        self._check_size(submission.model, submission.version, found.size)
        return replace(submission, referred=found.size)

    def _check_size(self, model: str, version: str, size: int) -> None:
        """Raises the 413 of more than the model's shapes can need: it is known before a worker brings it."""
        most = most_upload_bytes(self._catalog.resolve(model, version).spec)
        if size > most:
            detail = f"the upload has {size} bytes, model {model} takes at most {most} (limits.max_upload_bytes)"
            raise Problem(413, "too-large", detail, field="inputs_ref")


def unknown_upload(detail: str) -> Problem:
    return Problem(422, "unknown-upload", detail, field="inputs_ref")
