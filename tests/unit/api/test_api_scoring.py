"""Scoring runs over HTTP, on a real store."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_driver import Client, Start, until
from api_fakes import FakeNotices
from sqlalchemy import text

from api.deps import Scoring
from pipelines.scoring.locations import Locations
from pipelines.store.opening import open_store
from pipelines.store.scoring_port import Ending, Failed, Stopped, Succeeded
from pipelines.store.scoring_runs import ScoringRuns
from pipelines.store.sql import SqlStore
from schemas.scoring_runs import Progress, RunReason, RunSummary

SUMMARY = RunSummary(rows=9, rejected=1, parts=2, seconds=1.5, manifest="_forebay/a.json")
DONE = Succeeded(SUMMARY)
FAILED = Failed(RunReason.BAD_INPUT, "no column x")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('runs')}/store.db", patience=0.1)
    yield opened
    opened.close()


class CountedRuns(ScoringRuns):
    """`reads`: how often somebody looked."""

    reads = 0

    def read(self, *given: Any) -> Any:
        self.reads += 1
        return super().read(*given)


@dataclass
class Service:
    client: Client
    notices: FakeNotices
    runs: CountedRuns
    body: dict[str, Any]

    def submit(self, key: str = "", **changes: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        return self.client.post("/scoring_runs", json=self.body | changes, headers=headers)

    def get(self, path: str, key: str = "") -> httpx.Response:
        return self.client.get(path, headers={"authorization": f"Bearer {key}"} if key else {})

    def end(self, ending: Ending) -> None:
        """As a worker does that claims the next run."""
        claim, _ = self.runs.claim(["sum"], 30.0)
        assert claim is not None
        self.runs.end(claim, ending, Progress(rows=10, rows_total=10, parts=2, parts_total=2, rejected=1))


Serve = Callable[..., Service]


@pytest.fixture
def serve(start: Start, store: SqlStore, tmp_path: Path) -> Serve:
    with store.db.engine.begin() as connection:
        connection.execute(text("DELETE FROM scoring_runs"))

    def serve(roots: tuple[str, ...] = (str(tmp_path),), most_open: int = 100, **more: Any) -> Service:
        runs = CountedRuns(store.db)
        api = start(scoring=Scoring(runs, Locations(roots), most_open), answer_within=10.0, **more)
        body = {"model": "sum", "input": f"{tmp_path}/in", "output": f"{tmp_path}/out"}
        return Service(api.client, api.notices, runs, body)

    return serve


@pytest.fixture
def service(serve: Serve) -> Service:
    return serve()


class TestSubmit:
    def test_a_run_is_accepted(self, service: Service) -> None:
        answer = service.submit(run_id="nightly-1", where="x > 1", columns={"x": ["a", "b"]}, passthrough=["id"])
        assert answer.status_code == 202
        link = "/scoring_runs/nightly-1"
        assert answer.json() == {
            "run_id": "nightly-1", "status": "queued", "links": {"self": link, "cancel": f"{link}/cancel"},
        }  # fmt: skip
        assert (answer.headers["location"], answer.headers["retry-after"]) == (link, "1")
        assert "idempotent-replayed" not in answer.headers
        assert service.notices.works == 1
        request = service.runs.read("default", ["nightly-1"])["nightly-1"].request
        assert (request.where, request.columns, request.passthrough) == ("x > 1", {"x": ["a", "b"]}, ("id",))

    def test_a_run_id_is_made(self, service: Service) -> None:
        ids = {service.submit().json()["run_id"] for _ in range(2)}
        assert {len(id) for id in ids} == {36}
        assert len(ids) == 2

    def test_an_alias_becomes_a_number(self, service: Service) -> None:
        service.submit(run_id="a", version="production")
        assert service.get("/scoring_runs/a").json()["version"] == "1"

    def test_the_same_again(self, service: Service) -> None:
        service.submit(run_id="a")
        again = service.submit(run_id="a", max_rejects=0.01)  # which it is anyway
        assert (again.status_code, again.json()["status"]) == (202, "queued")
        assert again.headers["idempotent-replayed"] == "true"
        service.end(DONE)
        done = service.submit(run_id="a")
        assert (done.status_code, done.json()["status"], done.json()["summary"]["rows"]) == (200, "succeeded", 9)
        assert "retry-after" not in done.headers

    @pytest.mark.parametrize("ending", [FAILED, Stopped()])
    def test_what_failed_or_was_canceled_is_queued_again(self, service: Service, ending: Ending) -> None:
        service.submit(run_id="a")
        if ending == FAILED:
            service.end(ending)
        else:
            service.client.post("/scoring_runs/a/cancel")
        answer = service.submit(run_id="a")
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        assert service.notices.works == 2

    def test_another_body_is_refused_with_what_differs(self, service: Service) -> None:
        service.submit(run_id="a")
        answer = service.submit(run_id="a", where="x > 2", overwrite=True)
        problem = answer.json()
        assert (answer.status_code, problem["type"]) == (422, "/problems/run-conflict")
        assert "another where, overwrite" in problem["detail"]
        assert problem["errors"][0]["field"] == "where"

    def test_models_and_versions_that_are_not_there(self, service: Service) -> None:
        for changes, field in (({"model": "nope"}, "model"), ({"version": "9"}, "version"), ({"model": ""}, "model")):
            answer = service.submit(**changes)
            assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-model")
            assert answer.json()["errors"][0]["field"] == field

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"what": 1}, "what"), ({"run_id": "../x"}, "run_id"), ({"run_id": ""}, "run_id"), ({"run_id": "current"}, "run_id"),
            ({"run_id": "a" * 129}, "run_id"), ({"run_id": "a b"}, "run_id"), ({"max_rejects": 1.1}, "max_rejects"),
            ({"max_rejects": -1}, "max_rejects"), ({"input": ""}, "input"), ({"input": None}, "input"), ({"where": ""}, "where"),
            ({"columns": {"x": []}}, "columns"), ({"columns": ["x"]}, "columns"), ({"passthrough": "id"}, "passthrough"),
            ({"overwrite": "yes"}, "overwrite"), ({"version": 1}, "version"), ({"where": "x = 'a\0'"}, None),
            ({"output": "/" + "x" * 2048}, "output"), ({"passthrough": ["id", "ts", "id"]}, "passthrough"),
            ({"passthrough": ["y"]}, "passthrough"),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_refused(self, service: Service, changes: dict[str, Any], field: str | None) -> None:
        answer = service.submit(**changes)
        assert answer.status_code == 422, answer.text
        assert field is None or answer.json()["errors"][0]["field"].startswith(field)

    def test_what_is_no_body(self, service: Service) -> None:
        def status(**options: Any) -> int:
            return service.client.post("/scoring_runs", **options).status_code

        assert status(content=b"{") == 400
        assert status(content=b"{}", headers={"content-type": "text/plain"}) == 415
        assert status(content=b" " * (1 << 20) + b"{}") == 413
        assert status(json={}) == 422

    def test_open_runs_are_bounded(self, serve: Serve) -> None:
        service = serve(most_open=1)
        service.submit(run_id="a")
        answer = service.submit(run_id="b")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
        assert service.submit(run_id="a").status_code == 202


class TestLocations:
    def test_without_roots_it_is_off(self, serve: Serve) -> None:
        answer = serve(roots=()).submit()
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/location-refused")
        assert "FOREBAY_SCORING_ROOTS" in answer.json()["detail"]

    @pytest.mark.parametrize("uri", ["/etc", "{root}/../x", "s3://lake/x", "postgresql://user:secret@host/db#table"])
    @pytest.mark.parametrize("field", ["input", "output"])
    def test_what_leads_out_is_refused(self, service: Service, tmp_path: Path, field: str, uri: str) -> None:
        answer = service.submit(run_id="a", **{field: uri.format(root=tmp_path)})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (403, field)
        assert "secret" not in answer.text
        assert service.get("/scoring_runs/a").status_code == 404

    def test_an_output_in_its_input_is_refused(self, service: Service) -> None:
        answer = service.submit(run_id="a", output=f"{service.body['input']}/scores")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "output")
        assert "it lies in the input" in answer.json()["detail"]


class TestLook:
    def test_while_it_waits_and_runs(self, service: Service) -> None:
        service.submit(run_id="a")
        claim, _ = service.runs.claim(["sum"], 30.0)
        assert claim is not None
        service.runs.beat(claim, 30.0, Progress(rows=5, rows_total=10, parts=1, parts_total=2))
        answer = service.get("/scoring_runs/a")
        body = answer.json()
        assert (answer.status_code, answer.headers["retry-after"]) == (202, "1")
        assert (body["status"], body["attempts"], body["cancel_asked"]) == ("running", 1, False)
        assert body["progress"] == {"rows": 5, "rows_total": 10, "parts": 1, "parts_total": 2, "rejected": 0}
        assert set(body["timings"]) == {"submitted_at", "started_at"}
        assert (body["output"], body["model"]) == (service.body["output"], "sum")
        assert not {"error", "summary"} & set(body)

    def test_when_it_succeeded(self, service: Service) -> None:
        service.submit(run_id="a")
        service.end(DONE)
        answer = service.get("/scoring_runs/a")
        assert answer.status_code == 200
        assert answer.json()["summary"] == {
            "rows": 9, "rejected": 1, "parts": 2, "seconds": 1.5, "manifest": "_forebay/a.json", "skipped": 0,
        }  # fmt: skip

    def test_when_it_failed(self, service: Service) -> None:
        service.submit(run_id="a")
        service.end(FAILED)
        assert service.get("/scoring_runs/a").json()["error"] == {"reason": "bad_input", "message": "no column x"}

    def test_unknown_and_malformed(self, service: Service) -> None:
        for id in ("nope", "%00", "x" * 129, "a%2Fb", "current"):
            answer = service.get(f"/scoring_runs/{id}")
            assert answer.status_code == 404, id
            assert service.client.post(f"/scoring_runs/{id}/cancel").status_code in (400, 404)
        for query in ("wait=-1", "wait=x", "what=1"):
            assert service.get(f"/scoring_runs/x?{query}").status_code == 400

    def test_a_notice_wakes_who_waits(self, service: Service) -> None:
        service.submit(run_id="a")
        answer = service.client.begin("GET", "/scoring_runs/a?wait=30")
        until(lambda: service.runs.reads)
        service.end(DONE)
        service.notices.ended(["a"])
        got = answer()
        assert (got.status_code, got.headers["preference-applied"]) == (200, "wait=30")

    def test_a_wait_that_is_over_answers_how_it_stands(self, service: Service) -> None:
        service.submit(run_id="a")
        assert service.get("/scoring_runs/a?wait=0.05").status_code == 202

    def test_draining_answers_who_waits(self, service: Service) -> None:
        service.submit(run_id="a")
        answer = service.client.begin("GET", "/scoring_runs/a?wait=60")
        until(lambda: service.runs.reads)
        service.client.app.drain()
        assert answer().status_code == 202


class TestCancel:
    def test_what_is_queued_is_canceled(self, service: Service) -> None:
        service.submit(run_id="a")
        answer = service.client.post("/scoring_runs/a/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")

    def test_what_runs_is_asked_to_stop(self, service: Service) -> None:
        service.submit(run_id="a")
        service.runs.claim(["sum"], 30.0)
        body = service.client.post("/scoring_runs/a/cancel").json()
        assert (body["status"], body["cancel_asked"]) == ("running", True)

    def test_what_is_over_stays_as_it_is(self, service: Service) -> None:
        service.submit(run_id="a")
        service.end(DONE)
        assert service.client.post("/scoring_runs/a/cancel").json()["status"] == "succeeded"


class TestList:
    def test_pages_and_states(self, service: Service) -> None:
        for n in range(5):
            service.submit(run_id=f"run-{n}")
        service.end(DONE)
        first = service.get("/scoring_runs?limit=3").json()
        rest = service.client.get("/scoring_runs", params={"limit": 3, "cursor": first["cursor"]}).json()
        assert [run["run_id"] for run in (*first["runs"], *rest["runs"])] == [f"run-{n}" for n in (4, 3, 2, 1, 0)]
        assert rest["cursor"] is None
        done = service.get("/scoring_runs?state=succeeded").json()
        assert [run["run_id"] for run in done["runs"]] == ["run-0"]

    def test_filters_are_those_of_jobs(self, service: Service) -> None:
        service.submit(run_id="a")
        version = service.get("/scoring_runs/a").json()["version"]
        for query, found in (
            ("model=sum", ["a"]),
            ("model=other", []),
            (f"version={version}", ["a"]),
            ("version=99", []),
            ("state=queued&model=sum", ["a"]),
            ("since=2026-01-01T00:00:00Z&until=4000000000", ["a"]),
            ("since=4000000000", []),
            ("until=2020-01-01T00:00:00Z", []),
        ):
            listed = service.get(f"/scoring_runs?{query}").json()
            assert [run["run_id"] for run in listed["runs"]] == found, query

    def test_bad_filters_are_refused(self, service: Service) -> None:
        for query in ("state=expired", "limit=0", "cursor=x", "model=..", "since=yesterday", "pool=a"):
            answer = service.get(f"/scoring_runs?{query}")
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, query.split("=")[0])


def test_no_tenant_sees_anothers_runs(serve: Serve) -> None:
    keys = {"a" * 20: "one", "b" * 20: "two"}
    service = serve(keys={sha256(key.encode()).hexdigest(): tenant for key, tenant in keys.items()})
    one, two = keys
    assert service.submit().status_code == 401
    assert service.submit(one, run_id="a").status_code == 202
    assert service.get("/scoring_runs/a", two).status_code == 404
    assert service.client.post("/scoring_runs/a/cancel", headers={"x-api-key": two}).status_code == 404
    assert service.get("/scoring_runs", two).json()["runs"] == []
    assert service.submit(two, run_id="a", where="x > 1").status_code == 202, "a run id of its own"
    assert service.get("/scoring_runs/a", one).json()["status"] == "queued"


def test_the_document_has_every_route(service: Service) -> None:
    document = service.client.get("/openapi.json").json()
    routes = {path: set(methods) for path, methods in document["paths"].items() if path.startswith("/scoring_runs")}
    assert routes == {
        "/scoring_runs": {"get", "post"}, "/scoring_runs/{run_id}": {"get"}, "/scoring_runs/{run_id}/cancel": {"post"},
    }  # fmt: skip
    assert "FOREBAY_SCORING_ROOTS" in document["paths"]["/scoring_runs"]["post"]["responses"]["403"]["description"]
    assert {"ScoringSubmit", "RunBody", "RunAcceptedBody", "RunSummary"} <= set(document["components"]["schemas"])
    assert service.client.get("/docs").status_code == 200
