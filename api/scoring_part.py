"""Scoring as a service, as a part of the API: its routes and what runs for them."""

from dataclasses import dataclass

from fastapi import FastAPI
from starlette.routing import Route

from api import scoring_browsing
from api.calls import Calls, location_calls
from api.deps import Deps, Scoring
from api.grouping import Group
from api.hot import Hot
from api.ids import Ids
from api.rates import Rates
from api.reader import Named
from api.scoring_bodies import PATH
from api.scoring_runs import RunPolling, RunSubmitting, SeenRun, ended, run_reader
from api.waiting import Waiting
from pipelines.admission import Admission


@dataclass(frozen=True)
class ScoringPart:
    reader: Group[Named, SeenRun]
    waiting: Waiting[SeenRun]
    locations: Calls
    submitting: RunSubmitting
    polling: RunPolling

    def start(self) -> None:
        self.reader.start()
        self.waiting.start()

    async def stop(self) -> None:
        self.waiting.stop()
        await self.reader.stop()
        self.locations.stop()

    def mount(self, app: FastAPI) -> None:
        """Counted by Front, as everything that the router finds."""
        one = f"{PATH}/{{run_id}}"
        submit = Hot(PATH, self.submitting.submit, lambda *_: None)
        look = Hot(one, self.polling.get, lambda *_: None)
        app.router.routes.append(Route(PATH, submit, methods=["POST"]))
        app.router.routes.append(Route(one, look, methods=["GET"]))


def scoring_part(deps: Deps, scoring: Scoring, calls: Calls, rates: Rates) -> ScoringPart:
    """`calls`: of the store."""
    reader = run_reader(scoring, deps.limits)
    waiting = Waiting(reader, deps.notices, deps.limits.polls, ended)
    locations = location_calls(deps.limits.answer_within)
    submitting = RunSubmitting(
        scoring, Admission(deps.catalog), deps.notices, Ids(deps.clock, deps.random_bits), rates, calls, locations, deps.limits,
    )  # fmt: skip
    return ScoringPart(reader, waiting, locations, submitting, RunPolling(reader, waiting, deps.limits))


def include(app: FastAPI, deps: Deps, scoring: Scoring, calls: Calls) -> None:
    app.include_router(scoring_browsing.routes(scoring.runs, deps.notices, calls))
