"""The API as one ASGI application."""

import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.responses import HTMLResponse
from starlette.routing import Route

from api import browsing, faults, health
from api.admission import Admission
from api.backlog import Backlog
from api.calls import Calls, store_calls
from api.claim_check import ClaimCheck
from api.commits import Commits
from api.deps import Deps
from api.depth import Stalled, StoreDepth
from api.docs_page import HEADERS, page
from api.documentation import Documentation
from api.front import Front
from api.hot import Hot
from api.ids import Ids
from api.keys import Keys
from api.metrics import Metrics
from api.polling import Polling
from api.rates import Rates
from api.reader import Reader, Reads, Seen, reader
from api.scoring_part import ScoringPart, include, scoring_part
from api.scribe import Scribe, scribe
from api.sending import Sender
from api.submitting import Submitting
from api.uploads import Uploading
from api.waiting import Waiting, ended

SUBMIT = "/predict_async"
BATCH = "/predict_async/batch"
RESULT = "/result/{job_id}"
UPLOADS = "/uploads"
UPLOAD = "/uploads/{upload_id}"


@dataclass(frozen=True)
class Engine:
    """What runs while the API serves."""

    scribe: Scribe
    commits: Commits
    reader: Reader
    looker: Reader
    """For those who wait."""
    waiting: Waiting[Seen]
    sender: Sender | None
    calls: Calls
    rates: Rates
    workers: ThreadPoolExecutor
    claim_check: ClaimCheck
    uploading: Uploading
    scoring: ScoringPart | None

    def start(self) -> None:
        self.scribe.start()
        self.reader.start()
        self.looker.start()
        self.rates.start()
        self.waiting.start()
        if self.scoring is not None:
            self.scoring.start()
        if self.sender is not None:
            self.sender.start()

    async def stop(self) -> None:
        """In the order in which they need each other: what was accepted is committed, and told to the broker."""
        self.waiting.stop()
        if self.scoring is not None:
            await self.scoring.stop()
        await self.scribe.stop()
        await self.reader.stop()
        await self.looker.stop()
        await self.rates.stop()
        if self.sender is not None:
            self.sender.stop()
        self.calls.stop()
        self.claim_check.stop()
        self.uploading.stop()
        self.workers.shutdown(wait=False, cancel_futures=True)

    def polls(self) -> int:
        """Long polls held."""
        return self.waiting.count + (0 if self.scoring is None else self.scoring.waiting.count)

    def drain(self) -> None:
        """Answer every long poll now. From any thread."""
        self.waiting.drain()
        if self.scoring is not None:
            self.scoring.waiting.drain()


def build(deps: Deps) -> Front:
    """The ASGI application. It closes nothing that it was given."""
    metrics = Metrics(deps.registry)
    engine = _engine(deps, metrics)
    metrics.watch(lambda: engine.scribe.waiting, engine.polls)
    deps.registry.register(StoreDepth(deps.store, deps.clock, time.monotonic))
    submitting, polling = _handlers(deps, engine, metrics)
    hot = {
        SUBMIT: Hot(SUBMIT, submitting.submit, metrics.answered),
        BATCH: Hot(BATCH, submitting.batch, metrics.answered),
    }
    result = Hot(RESULT, polling.get, metrics.answered)
    app = _frame(deps, engine)
    for path, endpoint in hot.items():
        app.router.routes.append(Route(path, endpoint, methods=["POST"]))
    app.router.routes.append(Route(RESULT, result, methods=["GET"]))
    # Counted by Front, as everything that the router finds.
    begin, put = (
        Hot(name, do, lambda *_: None)
        for name, do in ((UPLOADS, engine.uploading.begin), (UPLOAD, engine.uploading.put))
    )
    app.router.routes.append(Route(UPLOADS, begin, methods=["POST"]))
    app.router.routes.append(Route(UPLOAD, put, methods=["PUT"]))
    if engine.scoring is not None:
        engine.scoring.mount(app)
    return Front(app, Keys(deps.keys), hot, result, metrics.answered, engine.drain)


def _engine(deps: Deps, metrics: Metrics) -> Engine:
    sender = None if deps.outlet is None else Sender(deps.outlet, deps.store, time.monotonic)
    reads = Reads(deps.store, deps.kept, metrics)
    looker = reader("looker", reads.told_of, deps.limits)
    commits = Commits(time.monotonic, metrics.committed)
    calls = store_calls(deps.limits.answer_within)

    async def keyed(tenant: str, keys: Sequence[str]) -> set[str]:
        return await calls(lambda: deps.store.keyed(tenant, keys))

    rates = Rates(deps.limits.rate, deps.shared_rates, time.monotonic)
    return Engine(
        scribe=scribe(deps.store, deps.notices, sender, deps.limits, commits),
        commits=commits,
        reader=reader("reader", reads.asked, deps.limits),
        looker=looker,
        waiting=Waiting(looker, deps.notices, deps.limits.polls, ended),
        sender=sender,
        calls=calls,
        rates=rates,
        workers=ThreadPoolExecutor(2, thread_name_prefix="decode"),
        claim_check=ClaimCheck(deps.large, deps.limits, keyed, deps.catalog),
        uploading=Uploading(deps.large, deps.limits, rates, deps.clock, deps.random_bits),
        scoring=None if deps.scoring is None else scoring_part(deps, deps.scoring, calls, rates),
    )


def _handlers(deps: Deps, engine: Engine, metrics: Metrics) -> tuple[Submitting, Polling]:
    admission = Admission(deps.catalog, Ids(deps.clock, deps.random_bits))
    backlog = Backlog(deps.store, engine.calls, deps.limits.queued, time.monotonic)
    polling = Polling(engine.reader, engine.waiting, engine.claim_check, deps.limits)
    submitting = Submitting(
        admission, engine.scribe, polling, backlog, engine.rates, engine.claim_check, metrics, deps.limits, engine.workers,
    )  # fmt: skip
    return submitting, polling


def _frame(deps: Deps, engine: Engine) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        engine.start()
        try:
            yield
        finally:
            await engine.stop()

    app = FastAPI(
        title="Forebay", version=deps.release, lifespan=lifespan, redirect_slashes=False, docs_url=None, redoc_url=None
    )
    faults.install(app)
    app.include_router(browsing.routes(deps.store, deps.notices, engine.calls))
    if deps.scoring is not None:
        include(app, deps, deps.scoring, engine.calls)
    blocking, degrading = _checks(deps, engine)
    stalled = Stalled(deps.store, deps.clock, time.monotonic)
    app.include_router(health.routes(deps.store, engine.calls, deps.registry, blocking, degrading, stalled))
    specs = [model.spec for model in deps.catalog.models.values()]
    document = Documentation(app, specs, bool(deps.keys), deps.scoring is not None)
    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to extend the schema

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(document()), headers=HEADERS)

    return app


def _checks(deps: Deps, engine: Engine) -> tuple[list[health.Fault], list[health.Fault]]:
    def broker() -> str | None:
        away = engine.sender is not None and engine.sender.degraded
        if not away:
            return None
        why = deps.broker_fault() or "the last messages were not confirmed"
        return f"broker: {why}; jobs are taken, sweeping sends them"

    def backlog() -> str | None:
        waiting = engine.scribe.waiting
        return f"{waiting} submissions wait for their commit" if waiting > deps.limits.waiting // 2 else None

    def payloads() -> str | None:
        return None if deps.large is None else deps.large.away()

    def models() -> str | None:
        return "; ".join(str(mistake) for mistake in deps.catalog.mistakes[:10]) or None

    return [engine.commits.trouble, models], [broker, backlog, payloads, *deps.degrading]
