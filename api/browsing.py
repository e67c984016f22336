"""POST /result/{job_id}/cancel and GET /jobs."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import ResultBody, encode, result_body
from api.calls import Calls
from api.keys import TENANT
from api.problems import bad_request, purged, unknown_job
from pipelines.store.notices import Notices
from pipelines.store.port import Store
from schemas.jobs import JobFilter, JobView, Page, is_id
from schemas.model_spec import NAME
from schemas.states import State

Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]
StateName = Literal["queued", "running", "succeeded", "failed", "canceled", "expired"]


class Wanted(BaseModel):
    """What a listing selects by."""

    model_config = ConfigDict(extra="forbid")

    state: StateName | None = None
    model: Name | None = None
    version: Name | None = None
    since: datetime | None = Field(None, description="Submitted at or after: RFC 3339, or epoch seconds")
    until: datetime | None = Field(None, description="Submitted before: RFC 3339, or epoch seconds")
    limit: int = Field(50, ge=1, le=1000)
    cursor: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,512}$")] | None = Field(
        None, description="From the page before"
    )


def routes(store: Store, notices: Notices, calls: Calls) -> APIRouter:
    router = APIRouter()

    @router.post("/result/{job_id}/cancel", summary="Cancel a job", tags=["jobs"])
    async def cancel(request: Request, job_id: Annotated[str, Path(max_length=128)]) -> Response:
        """Cancels what is queued or running; a finished job stays as it is. The answer is the state that it ended in."""
        if not is_id(job_id):
            raise unknown_job()
        tenant = request.scope[TENANT]
        seen = (await calls(lambda: store.cancel(tenant, [job_id]))).get(job_id)
        if not isinstance(seen, JobView):
            raise unknown_job() if seen is None else purged()
        if seen.state is State.CANCELED:
            notices.ended([job_id])
        return _json(result_body(seen))

    @router.get("/jobs", summary="List jobs, newest first, without results", tags=["jobs"])
    async def jobs(request: Request, wanted: Annotated[Wanted, Query()]) -> Response:
        """`cursor` in the answer continues the list; it is null at the end."""
        tenant, filter = request.scope[TENANT], filter_of(wanted)
        try:
            page = await calls(lambda: store.list_jobs(tenant, filter, wanted.limit, wanted.cursor))
        except ValueError as malformed:
            raise bad_request(f"cursor: {malformed}"[:200], "cursor") from None
        return _json(_page(page))

    return router


def filter_of(wanted: Wanted) -> JobFilter:
    return JobFilter(
        state=None if wanted.state is None else State(wanted.state),
        model=wanted.model,
        version=wanted.version,
        since=_epoch(wanted.since),
        until=_epoch(wanted.until),
    )


def _epoch(time: datetime | None) -> float | None:
    if time is None:
        return None
    aware = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return (aware - datetime.fromtimestamp(0, UTC)).total_seconds()


def _page(page: Page) -> dict[str, Any]:
    items: list[ResultBody] = [result_body(view) for view in page.items]
    return {"jobs": items, "cursor": page.cursor}


def _json(value: Any) -> Response:
    return Response(encode(value), media_type="application/json", headers={"cache-control": "no-store"})
