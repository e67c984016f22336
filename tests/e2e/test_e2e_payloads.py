"""Inputs and results that no row holds, on a folder and on S3, through real processes."""

import hashlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from forebay.payloads_address import parse
from pipelines.payloads.folder import FolderPayloads
from pipelines.payloads.s3 import S3Payloads, connect
from pipelines.s3.address import S3Address
from pipelines.store.opening import open_store
from tests.e2e import large
from tests.e2e.processes import Forebay, Place, eventually
from tests.services.buckets import fresh_bucket
from tests.services.moto_server import ACCESS

JOBS = 12


class Kept:
    """What is where payloads are kept, seen from outside."""

    def __init__(self, address: str, there: Place) -> None:
        store = open_store(there.store)
        identity = store.identity()
        store.close()
        at = parse(address)
        if isinstance(at, S3Address):
            self._client: Any = connect(at)
            self._payloads: Any = S3Payloads(self._client, at, identity)
        else:
            self._client, self._payloads = None, FolderPayloads(at, identity)

    def __len__(self) -> int:
        return sum(len(page) for page in self._payloads.older(0.0))

    def remove_all(self) -> None:
        for page in list(self._payloads.older(0.0)):
            self._payloads.remove(page)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()


class Scene:
    """An API and a worker that serve, and what they share."""

    def __init__(self, there: Place, kept: Kept, **settings: str) -> None:
        self.there = there
        self.kept = kept
        api, worker = there.start("api", **settings), there.start("worker", **settings)
        self.api, self.worker = api.ready(), worker.ready()

    def pause(self, paused: bool) -> None:
        store = open_store(self.there.store)  # without its queue, as an operator's command may be
        store.pause(large.NAME, paused)
        store.close()


@contextmanager
def _on_s3(s3: str, store: str, queue: str = "store", **settings: str) -> Iterator[Scene]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ACCESS.items():
            patch.setenv(name, value)
        address = fresh_bucket(s3)
        with large.ground(store, PAYLOADS=address, QUEUE=queue) as there:
            kept = Kept(address, there)
            yield Scene(there, kept, **settings)
            kept.close()


@pytest.fixture(scope="module", params=["sqlite-folder", "postgresql-s3-sqs"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    if request.param == "sqlite-folder":
        address = str(tmp_path_factory.mktemp("payloads"))
        with large.ground(None, PAYLOADS=address) as there:
            yield Scene(there, Kept(address, there))
        return
    server = request.getfixturevalue("elasticmq")
    queue = server.address(server.fresh_queue())
    with (
        request.getfixturevalue("postgres").database() as url,
        _on_s3(request.getfixturevalue("s3"), url, queue) as made,
    ):
        yield made


def _submit(api: Forebay, n: int, count: int = large.COUNT, **headers: str) -> httpx.Response:
    given = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return httpx.post(f"{api.url}/predict_async", content=large.body(n, count), headers=given, timeout=30)


def _result(api: Forebay, id: str) -> dict[str, Any]:
    """Once it ended."""

    def look() -> dict[str, Any] | None:
        answer = httpx.get(f"{api.url}/result/{id}", params={"wait": 5}, timeout=30)
        assert answer.status_code in (200, 202), answer.text
        found: dict[str, Any] = answer.json()
        return found if answer.status_code == 200 else None

    return eventually(look, 60)


def test_large_jobs_go_through_though_a_worker_is_killed(scene: Scene) -> None:
    api, before = scene.api, len(large.refs(scene.there))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: _submit(api, n, idempotency_key=f"k{n}"), range(JOBS)))
        assert [answer.status_code for answer in answers] == [202] * JOBS
        scene.worker.kill()
        scene.worker = scene.there.start("worker").ready()
        small = _submit(api, 99, 3, prefer="wait=20")
        results = list(pool.map(lambda answer: _result(api, answer.json()["job_id"]), answers))
    assert small.json()["result"] == {"y": large.inputs(99, 3)["x"]}
    assert [found["status"] for found in results] == ["succeeded"] * JOBS
    assert [found["result"]["y"] for found in results] == [large.inputs(n)["x"] for n in range(JOBS)]
    named = large.refs(scene.there)[before:]
    assert sum(ref is not None for pair in named for ref in pair) == 2 * JOBS, "the small one is in its row"
    again = _submit(api, 0, idempotency_key="k0")
    assert again.json()["job_id"] == answers[0].json()["job_id"]


def test_the_end_of_the_retention_removes_both(s3: str, postgres_url: str) -> None:
    with _on_s3(s3, postgres_url, RETENTION="2s") as scene:
        id = _submit(scene.api, 1, prefer="wait=20").json()["job_id"]
        eventually(lambda: httpx.get(f"{scene.api.url}/result/{id}").status_code == 410, 30)
        eventually(lambda: len(scene.kept) == 0, 30, lambda: f"{len(scene.kept)} payloads are left")


def test_an_input_that_is_gone_is_a_dead_letter_that_says_so(scene: Scene) -> None:
    scene.pause(True)
    id = _submit(scene.api, 1).json()["job_id"]
    scene.kept.remove_all()
    scene.pause(False)
    found = _result(scene.api, id)
    assert (found["status"], found["error"]["reason"]) == ("failed", "payload_missing")
    assert str(large.refs(scene.there)[-1][0]) in found["error"]["message"]


def test_a_result_that_is_gone_is_named(scene: Scene) -> None:
    id = _submit(scene.api, 1, prefer="wait=20").json()["job_id"]
    scene.kept.remove_all()
    answer = httpx.get(f"{scene.api.url}/result/{id}")
    assert (answer.status_code, answer.json()["type"]) == (410, "/problems/payload-missing")
    assert id in answer.json()["detail"]


class TestUploads:
    def _begin(self, api: Forebay, **wanted: Any) -> dict[str, Any]:
        answer = httpx.post(f"{api.url}/uploads", json=wanted)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _put(self, api: Forebay, begun: dict[str, Any], content: bytes) -> httpx.Response:
        return httpx.put(httpx.URL(api.url).join(begun["url"]), content=content, headers=begun["headers"], timeout=30)

    def test_an_upload_is_one_jobs_input(self, scene: Scene) -> None:
        api = scene.api
        content = large.msgspec.json.encode(large.inputs(7))
        begun = self._begin(api, size=len(content), sha256=hashlib.sha256(content).hexdigest())
        asked = {"model": large.NAME, "inputs_ref": begun["inputs_ref"]}
        early = httpx.post(f"{api.url}/predict_async", json=asked)
        assert (early.status_code, early.json()["type"]) == (422, "/problems/unknown-upload")
        assert self._put(api, begun, content).status_code == 200
        assert self._put(api, begun, content).status_code == 412
        answer = httpx.post(
            f"{api.url}/predict_async", json=asked, headers={"Idempotency-Key": "u", "Prefer": "wait=20"}
        )
        assert answer.json()["result"] == {"y": large.inputs(7)["x"]}
        id = answer.json()["job_id"]
        again = httpx.post(f"{api.url}/predict_async", json=asked, headers={"Idempotency-Key": "u"})
        assert (again.status_code, again.json()["job_id"]) == (202, id)
        used = httpx.post(f"{api.url}/predict_async", json=asked)
        assert (used.status_code, used.json()["type"]) == (422, "/problems/upload-used")
        assert id in used.json()["detail"]

    def test_what_is_no_input_is_a_dead_letter(self, scene: Scene) -> None:
        api = scene.api
        begun = self._begin(api)
        assert self._put(api, begun, b"\x00 no JSON").status_code == 200
        jobs = [{"model": large.NAME, "inputs_ref": begun["inputs_ref"]}, {"model": large.NAME, "inputs": {"x": [1.0]}}]
        first, second = httpx.post(f"{api.url}/predict_async/batch", json={"jobs": jobs}).json()["jobs"]
        assert _result(api, first["job_id"])["error"]["reason"] == "invalid_input"
        assert _result(api, second["job_id"])["result"] == {"y": [1.0]}


def test_an_upload_beyond_the_limit_is_refused_while_it_streams(tmp_path: Path) -> None:
    with large.ground(None, PAYLOADS=str(tmp_path), MAX_UPLOAD="100000") as there:
        api = there.start("api").ready()
        url = httpx.post(f"{api.url}/uploads", json={}).json()["url"]

        def endless() -> Iterator[bytes]:
            while True:
                yield b"x" * 50_000

        try:
            answer = httpx.put(f"{api.url}{url}", content=endless())
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # the connection was closed on what was still being sent
        eventually(lambda: not list((tmp_path / ".incoming").iterdir()), 10)
        assert httpx.post(f"{api.url}/uploads", json={"size": 100_001}).status_code == 413
        assert httpx.get(f"{api.url}/readyz").status_code == 200


def test_without_payloads_rows_hold_everything(postgres_url: str) -> None:
    with large.ground(postgres_url) as there:
        api, worker = there.start("api"), there.start("worker")
        api.ready(), worker.ready()
        answer = _submit(api, 5, prefer="wait=20")
        assert answer.json()["result"] == {"y": large.inputs(5)["x"]}
        assert large.refs(there) == [(None, None)]
        assert httpx.post(f"{api.url}/uploads", json={}).status_code == 404
        asked = {"model": large.NAME, "inputs_ref": "0" * 32}
        refused = httpx.post(f"{api.url}/predict_async", json=asked)
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/no-uploads")


def test_a_storage_that_is_away_is_503_and_comes_back(tmp_path: Path) -> None:
    """No small job waits for it."""
    folder = tmp_path / "payloads"
    with large.ground(None, PAYLOADS=str(folder)) as there:
        api, worker = there.start("api").ready(), there.start("worker").ready()
        waiting = _submit(api, 1, prefer="wait=20").json()
        folder.rename(tmp_path / "elsewhere")
        folder.write_text("no folder")
        began = time.monotonic()
        answer = _submit(api, 2)
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/payloads-away")
        assert httpx.get(f"{api.url}/result/{waiting['job_id']}").status_code == 503
        assert _submit(api, 3, 3, prefer="wait=20").json()["status"] == "succeeded"
        assert time.monotonic() - began < 10
        assert any(
            "payloads" in line or "payload" in line for line in httpx.get(f"{api.url}/readyz").json()["degraded"]
        )
        folder.unlink()
        (tmp_path / "elsewhere").rename(folder)
        assert _submit(api, 4, prefer="wait=20").json()["status"] == "succeeded"
        assert httpx.get(f"{api.url}/result/{waiting['job_id']}").json()["result"] == waiting["result"]
        assert worker.code is None


def test_a_start_says_that_the_storage_is_away_and_readiness_that_it_is_back(tmp_path: Path) -> None:
    """Without a large job."""
    folder = tmp_path / "payloads"
    folder.write_text("no folder")
    with large.ground(None, PAYLOADS=str(folder)) as there:
        api, worker = there.start("api").ready(), there.start("worker", METRICS_PORT="0").ready()
        for process in (api, worker):
            eventually(lambda process=process: "is no folder" in process.complained, 10)
        assert [f"payloads: folder {folder}: {folder} is no folder"] == _degraded(api)
        assert _degraded(worker) == _degraded(api)
        folder.unlink()
        eventually(lambda: not _degraded(api) and not _degraded(worker), 15)


def _degraded(process: Forebay) -> list[str]:
    found: list[str] = httpx.get(f"{process.url}/readyz").json()["degraded"]
    return found
