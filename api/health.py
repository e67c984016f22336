"""GET /healthz, /readyz and /metrics."""

from collections.abc import Callable

from fastapi import APIRouter
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api.bodies import encode
from api.calls import Calls
from api.problems import Problem
from pipelines.store.port import Store

Fault = Callable[[], str | None]
"""One line while something is wrong, None while it is not."""


def routes(
    store: Store,
    calls: Calls,
    registry: CollectorRegistry,
    blocking: list[Fault],
    degrading: list[Fault],
    stalled: Fault,
) -> APIRouter:
    """`stalled` may ask the store."""
    router = APIRouter(tags=["health"])

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", summary="The process lives")
    async def healthz() -> Response:
        return Response(b'{"status":"ok"}', media_type="application/json")

    @router.head("/readyz", include_in_schema=False)
    @router.get("/readyz", summary="Whether submissions can be served")
    async def readyz() -> Response:
        """200 when the store answers and there are models; `degraded` lists what is wrong and does not stop it."""
        unready = [fault for fault in (await _store_fault(store, calls), *(check() for check in blocking)) if fault]
        degraded = [fault for check in degrading if (fault := check())]
        if not unready and (still := await _if_in_time(stalled, calls)):
            degraded.append(still)
        body = {"status": "unready" if unready else "ready", "unready": unready, "degraded": degraded}
        return Response(encode(body), 503 if unready else 200, media_type="application/json")

    @router.get("/metrics", summary="Prometheus metrics")
    async def metrics() -> Response:
        text = await calls(lambda: generate_latest(registry))
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return router


async def _if_in_time(check: Fault, calls: Calls) -> str | None:
    try:
        return await calls(check)
    except Problem:
        return None


async def _store_fault(store: Store, calls: Calls) -> str | None:
    try:
        await calls(store.now)
    except Problem as problem:
        return f"store: {problem.detail}"
    return None
