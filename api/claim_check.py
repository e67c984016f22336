"""The claim check of the API: large inputs are put before their rows are committed, large results are brought when asked for."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from api.calls import PAYLOADS, Bounds, Calls
from api.deps import Large, Limits
from api.problems import Problem, overloaded
from pipelines.payloads.deposits import Looking
from pipelines.payloads.port import Found, PayloadMissing
from schemas.jobs import JobView, Submission

_THREADS = 16
_MOST = 1024
_RESULTS = 32
"""Large results on their way to clients at once: each is in memory until the client has taken it."""

_INSTEAD = "; put a larger input where POST /uploads says, and submit its id as inputs_ref"


class ClaimCheck:
    """Belongs to the event loop."""

    def __init__(self, large: Large | None, limits: Limits) -> None:
        self._large = large
        self._inline = (1 << 62) if large is None else large.deposits.inline
        self._looking = Looking(None if large is None else large.deposits.payloads)
        within = limits.answer_within if large is None else large.within
        self._within = within
        self._carry = Calls(PAYLOADS, Bounds(_THREADS, _MOST, within, limits.waiting_bytes))
        self._results = asyncio.Semaphore(_RESULTS)
        self.instead = "" if large is None or large.max_upload <= limits.body else _INSTEAD
        """What to do with a body that is too large."""

    def needs(self, submission: Submission) -> bool:
        return submission.inputs_ref is not None or len(submission.inputs) > self._inline

    async def check_in(self, submission: Submission) -> Submission:
        """The same, as its row will be: a large input is put and named; what names an upload was looked up. Raises Problem."""
        if self._large is None:
            raise Problem(422, "no-uploads", "no uploads are set up here (FOREBAY_PAYLOADS)", field="inputs_ref")
        if submission.inputs_ref is not None:
            return await self._uploaded(self._large, submission, submission.inputs_ref)
        deposits = self._large.deposits
        return await self._carry(lambda: deposits.of_submission(submission), len(submission.inputs))

    async def check_in_all(self, entries: Sequence[Submission | Problem]) -> list[Submission | Problem]:
        """One outcome each, in order."""
        if not any(isinstance(entry, Submission) and self.needs(entry) for entry in entries):
            return list(entries)
        return list(await asyncio.gather(*(self._entry(entry) for entry in entries)))

    @asynccontextmanager
    async def whole(self, view: JobView) -> AsyncIterator[JobView]:
        """The job with its result, for as long as it takes to answer it. Raises Problem."""
        try:
            await asyncio.wait_for(self._results.acquire(), self._within)
        except TimeoutError:
            raise overloaded("too many large results are asked for: try again later") from None
        try:
            yield await self._carry(lambda: self._looking.result(view))
        except PayloadMissing as missing:
            raise Problem(
                410, "payload-missing", f"job {view.id} succeeded, but its result is gone: {missing}"
            ) from None
        finally:
            self._results.release()

    def stop(self) -> None:
        self._carry.stop()

    async def _entry(self, entry: Submission | Problem) -> Submission | Problem:
        if not isinstance(entry, Submission) or not self.needs(entry):
            return entry
        try:
            return await self.check_in(entry)
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
        return replace(submission, referred=found.size)


def unknown_upload(detail: str) -> Problem:
    return Problem(422, "unknown-upload", detail, field="inputs_ref")
