"""POST /scoring_runs/{run_id}/cancel and GET /scoring_runs."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import encode
from api.browsing import Wanted, filter_of
from api.calls import Calls
from api.keys import TENANT
from api.problems import bad_request, unknown_run
from api.scoring_bodies import PATH, RunsBody, run_body
from pipelines.store.notices import Notices
from pipelines.store.scoring_port import RunStore
from schemas.scoring_runs import RUN_ID
from schemas.states import State

RunState = Literal["queued", "running", "succeeded", "failed", "canceled"]


class WantedRuns(Wanted):
    state: RunState | None = None


def routes(runs: RunStore, notices: Notices, calls: Calls) -> APIRouter:
    router = APIRouter(tags=["scoring runs"])

    @router.post(f"{PATH}/{{run_id}}/cancel", summary="Cancel a scoring run")
    async def cancel(request: Request, run_id: Annotated[str, Path(max_length=128)]) -> Response:
        """Cancels what is queued, and asks what is running to stop: `cancel_asked` is true until it did. A run that ended
        stays as it is. What is done of it is kept, and the same submission goes on from there."""
        if not RUN_ID.fullmatch(run_id):
            raise unknown_run()
        tenant = request.scope[TENANT]
        seen = await calls(lambda: runs.cancel(tenant, run_id))
        if seen is None:
            raise unknown_run()
        if seen.state is State.CANCELED:
            notices.ended([run_id])
        return _json(run_body(seen))

    @router.get(PATH, summary="List scoring runs, newest first")
    async def listed(request: Request, wanted: Annotated[WantedRuns, Query()]) -> Response:
        """`cursor` in the answer continues the list; it is null at the end."""
        tenant, filter = request.scope[TENANT], filter_of(wanted)
        try:
            page = await calls(lambda: runs.list_runs(tenant, filter, wanted.limit, wanted.cursor))
        except ValueError as malformed:
            raise bad_request(f"cursor: {malformed}"[:200], "cursor") from None
        return _json(RunsBody([run_body(view) for view in page.items], page.cursor))

    return router


def _json(value: object) -> Response:
    return Response(encode(value), media_type="application/json", headers={"cache-control": "no-store"})
