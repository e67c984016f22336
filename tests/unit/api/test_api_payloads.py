"""The claim check of the API: large inputs, large results and uploads, over a folder."""

import hashlib
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from api_driver import BODY, Api, Start, until

from api.deps import Large
from pipelines.payloads.deposits import Deposits
from pipelines.payloads.folder import FolderPayloads
from pipelines.payloads.port import Found, PayloadsAway
from pipelines.payloads.presence import Presence
from pipelines.payloads.watched import WatchedPayloads, WatchedUploads
from schemas.states import State

KEYS = {hashlib.sha256(name.encode()).hexdigest(): name for name in ("team-a", "team-b")}
AS_A, AS_B = ({"X-API-Key": name} for name in ("team-a", "team-b"))
INLINE = 20
GONE = "payload default/x: s3://a-bucket: Could not connect to the endpoint URL"
LONG = {**BODY, "inputs": {"x": [0.123456, 0.234567, 0.345678]}}
RESULT = msgspec.json.encode({"y": "r" * 200})


class Folder(FolderPayloads):
    """A folder that the test takes away, or holds."""

    def __init__(self, root: Path, now: Callable[[], float]) -> None:
        super().__init__(root, "store-1", now)
        self.gone = False
        self.hold = threading.Event()
        self.hold.set()

    def put(self, key: str, data: bytes) -> None:
        self._enter()
        super().put(key, data)

    def get(self, key: str, size: int | None = None) -> bytes:
        self._enter()
        return super().get(key, size)

    def found(self, key: str) -> Found | None:
        self._enter()
        return super().found(key)

    def _enter(self) -> None:
        self.hold.wait(10)
        if self.gone:
            raise PayloadsAway(GONE)


class Scene:
    def __init__(self, start: Start, folder: Path) -> None:
        self.ahead = 0.0
        self.folder = Folder(folder, self.now)
        self._start = start
        presence = Presence(lambda line: None, time.monotonic)
        deposits = Deposits(WatchedPayloads(self.folder, presence), INLINE)
        uploads = WatchedUploads(self.folder, presence)
        self.large = Large(deposits, uploads, self.folder, 1000, lambda: presence.away, within=0.5)

    def now(self) -> float:
        return time.time() + self.ahead

    def api(self, **options: Any) -> Api:
        return self._start(large=self.large, clock=self.now, **options)


@pytest.fixture
def scene(start: Start, tmp_path: Path) -> Scene:
    return Scene(start, tmp_path)


def _begin(api: Api, **options: Any) -> dict[str, Any]:
    answer = api.client.post("/uploads", **options)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _kind(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


def test_a_large_input_is_put_before_its_row_and_a_small_one_is_in_it(scene: Scene) -> None:
    api = scene.api()
    large, small = api.submit(LONG).json()["job_id"], api.submit().json()["job_id"]
    row = api.store.submitted[large]
    assert (row.inputs, row.size > INLINE) == (b"", True)
    assert row.inputs_ref is not None
    assert json.loads(scene.folder.get(row.inputs_ref, row.size)) == LONG["inputs"]
    assert api.store.submitted[small].inputs_ref is None


def test_each_of_a_batch_goes_where_it_fits(scene: Scene) -> None:
    api = scene.api()
    jobs = [BODY, LONG, {**BODY, "inputs_ref": "x"}, {"model": "sum", "inputs_ref": "0" * 32}, {"model": "sum"}]
    answers = api.client.post("/predict_async/batch", json={"jobs": jobs}).json()["jobs"]
    assert [answer.get("status") for answer in answers] == ["queued", "queued", 422, 422, 422]
    assert api.store.submitted[answers[1]["job_id"]].inputs_ref is not None


def test_a_large_input_is_not_put_again_for_a_key_that_has_its_job(scene: Scene) -> None:
    api = scene.api()
    first = api.submit(LONG, **{"Idempotency-Key": "k"})
    scene.folder.gone = True
    again = api.submit(LONG, **{"Idempotency-Key": "k"})
    assert (again.status_code, again.json()["job_id"]) == (202, first.json()["job_id"])


def test_payloads_that_are_away_are_503_for_large_ones_alone(scene: Scene) -> None:
    api = scene.api()
    scene.folder.gone = True
    assert _kind(api.submit(LONG)) == (503, "payloads-away")
    assert api.submit().status_code == 202
    assert len(api.store.submitted) == 1, "no row without its payload"


@pytest.mark.parametrize("body", [LONG, {"model": "sum", "inputs_ref": "0" * 32}])
def test_readiness_says_what_is_away_and_clients_hear_that_it_is(scene: Scene, body: Any) -> None:
    api = scene.api()
    scene.folder.gone = True
    answer = api.submit(body)
    assert _kind(answer) == (503, "payloads-away")
    assert "bucket" not in answer.text
    assert api.client.get("/readyz").json() == {"status": "ready", "unready": [], "degraded": [GONE]}


def test_payloads_that_hang_are_answered_in_time_and_hold_nobody_up(scene: Scene) -> None:
    api = scene.api()
    scene.folder.hold.clear()
    answer = api.client.begin("POST", "/predict_async", json=LONG)
    assert api.submit().status_code == 202
    assert _kind(answer()) == (503, "payloads-away")
    scene.folder.hold.set()


def _succeeded(api: Api, scene: Scene) -> str:
    """A job whose result is large."""
    id: str = api.submit().json()["job_id"]
    ref = f"default/{(digest := hashlib.sha256(RESULT).hexdigest())[:2]}/{digest}-r1.1"
    FolderPayloads.put(scene.folder, ref, RESULT)
    view = api.store.rows["default", id]
    api.store.rows["default", id] = msgspec.structs.replace(view, state=State.SUCCEEDED, result_ref=ref)
    return id


def test_a_large_result_is_answered_as_any(scene: Scene) -> None:
    api = scene.api()
    id = _succeeded(api, scene)
    answer = api.client.get(f"/result/{id}")
    assert (answer.status_code, answer.json()["result"]) == (200, json.loads(RESULT))


def test_a_large_result_that_is_away_or_gone_says_which(scene: Scene) -> None:
    api = scene.api()
    id = _succeeded(api, scene)
    scene.folder.gone = True
    assert _kind(api.client.get(f"/result/{id}")) == (503, "payloads-away")
    scene.folder.gone = False
    scene.folder.remove([key for page in scene.folder.older(0) for key in page])
    answer = api.client.get(f"/result/{id}")
    assert _kind(answer) == (410, "payload-missing")
    assert id in answer.json()["detail"]


class TestUploads:
    def test_an_address_is_enough_and_is_good_for_one_write(self, scene: Scene) -> None:
        api = scene.api(keys=KEYS)
        begun = _begin(api, headers=AS_A)
        assert (begun["method"], begun["inputs_ref"]) == ("PUT", begun["upload_id"])
        assert api.client.request("PUT", begun["url"], content=b"{}").status_code == 200
        assert _kind(api.client.request("PUT", begun["url"], content=b"[]")) == (412, "already-uploaded")
        assert api.client.post("/uploads").status_code == 401

    def test_an_upload_is_its_tenants_alone(self, scene: Scene) -> None:
        api = scene.api(keys=KEYS)
        begun = _begin(api, headers=AS_A)
        api.client.request("PUT", begun["url"], content=b'{"x":[1,2,3]}')
        asked = {"model": "sum", "inputs_ref": begun["inputs_ref"]}
        assert _kind(api.submit(asked, **AS_B)) == (422, "unknown-upload")
        assert api.submit(asked, **AS_A).status_code == 202

    def test_whoever_changes_an_address_is_refused(self, scene: Scene) -> None:
        api = scene.api(keys=KEYS)
        url: str = _begin(api, headers=AS_A, json={"size": 2})["url"]
        for changed in (
            url.replace("team-a", "team-b"), url.replace("size=2", "size=3"), url.replace("size=2", "size="), url + "0",
            url + "&tenant=team-b", url.replace("expires=", "expires=9"), url.replace("/uploads/", "/uploads/0"),
            url.partition("?")[0], url.replace("signature=", "signature=%FF"), "/uploads/../../x?" + url.partition("?")[2],
        ):  # fmt: skip
            answer = api.client.request("PUT", changed, content=b"{}")
            assert answer.status_code in (401, 403, 404), (changed, answer.text)
        assert list(scene.folder.older(0)) == []

    def test_an_address_expires(self, scene: Scene) -> None:
        api = scene.api()
        url = _begin(api)["url"]
        scene.ahead = 3601
        answer = api.client.request("PUT", url, content=b"{}")
        assert _kind(answer) == (403, "upload-refused")
        assert "expired" in answer.json()["detail"]

    def test_an_upload_of_yesterday_is_not_taken(self, scene: Scene) -> None:
        api = scene.api()
        begun = _begin(api)
        api.client.request("PUT", begun["url"], content=b'{"x":[1,2,3]}')
        scene.ahead = 13 * 3600
        answer = api.submit({"model": "sum", "inputs_ref": begun["inputs_ref"]})
        assert _kind(answer) == (422, "unknown-upload")
        assert "13 hours ago" in answer.json()["detail"]

    @pytest.mark.parametrize("way", ["alone", "in a batch"])
    def test_the_same_key_is_the_same_job_whatever_became_of_its_upload(self, scene: Scene, way: str) -> None:
        api = scene.api()
        begun = _begin(api)
        api.client.request("PUT", begun["url"], content=b'{"x":[1,2,3]}')
        asked = {"model": "sum", "inputs_ref": begun["inputs_ref"]}

        def submit(**options: Any) -> Any:
            if way == "alone":
                return api.submit({**asked, **options}, **{"Idempotency-Key": "k"}).json()
            jobs = [{**asked, **options, "idempotency_key": "k"}, BODY]
            return api.client.post("/predict_async/batch", json={"jobs": jobs}).json()["jobs"][0]

        first = submit()
        scene.ahead = 13 * 3600
        assert submit()["job_id"] == first["job_id"]
        scene.folder.remove([key for page in scene.folder.older(0) for key in page])
        assert submit()["job_id"] == first["job_id"]
        assert submit(priority=1)["type"] == "/problems/key-conflict"

    @pytest.mark.parametrize(
        ("wanted", "content", "status"),
        [
            ({}, b"x" * 1001, 413),
            ({}, b"", 422),
            ({"size": 3}, b"1234", 413),
            ({"size": 3}, b"12", 422),
            ({"size": 3}, b"123", 200),
            ({"sha256": hashlib.sha256(b"1").hexdigest()}, b"2", 422),
            ({"sha256": hashlib.sha256(b"1").hexdigest()}, b"1", 200),
        ],
    )
    def test_what_was_named_is_held_against_what_comes(
        self, scene: Scene, wanted: dict[str, Any], content: bytes, status: int
    ) -> None:
        api = scene.api()
        url = _begin(api, json=wanted)["url"]
        assert api.client.request("PUT", url, content=content).status_code == status
        assert len([key for page in scene.folder.older(0) for key in page]) == (status == 200)
        incoming = scene.folder._incoming
        until(lambda: not incoming.exists() or not list(incoming.iterdir()))

    def test_chunks_beyond_the_limit_are_not_read_on(self, scene: Scene) -> None:
        api = scene.api()
        url = _begin(api)["url"]
        read: list[int] = []

        async def endless() -> Any:
            while len(read) < 100:
                read.append(1)
                yield b"x" * 500

        assert api.client.request("PUT", url, content=endless()).status_code == 413
        assert len(list(scene.folder.older(0))) == 0

    @pytest.mark.parametrize(
        "wanted", [{"size": 0}, {"size": -1}, {"size": "1"}, {"sha256": "x"}, {"other": 1}, {"size": 1001}, []]
    )
    def test_what_is_no_request_for_one_is_refused(self, scene: Scene, wanted: Any) -> None:
        assert scene.api().client.post("/uploads", json=wanted).status_code in (413, 422)

    @pytest.mark.parametrize(
        "ref", ["", "x", "../../etc/passwd", "0" * 31, "0" * 33, "0" * 32 + "-x", "\ud800", 5, None]
    )
    def test_what_is_no_uploads_id_is_refused(self, scene: Scene, ref: Any) -> None:
        answer = scene.api().client.post(
            "/predict_async",
            content=json.dumps({"model": "sum", "inputs_ref": ref}),
            headers={"content-type": "application/json"},
        )
        assert answer.status_code in (400, 422)

    def test_an_input_is_given_once(self, scene: Scene) -> None:
        answer = scene.api().submit({**BODY, "inputs_ref": "0" * 32})
        assert _kind(answer) == (422, "invalid-body")
        assert "both" in answer.json()["detail"]

    def test_it_is_documented(self, scene: Scene) -> None:
        document = scene.api().client.get("/openapi.json").json()
        assert {"/uploads", "/uploads/{upload_id}"} <= set(document["paths"])
        assert document["components"]["schemas"]["Submit"]["oneOf"]


def test_without_payloads_there_are_no_uploads(start: Start) -> None:
    api = start()
    assert _kind(api.client.post("/uploads", json={})) == (404, "no-uploads")
    assert _kind(api.client.request("PUT", "/uploads/x", content=b"")) == (404, "no-uploads")
    assert _kind(api.submit({"model": "sum", "inputs_ref": "0" * 32})) == (422, "no-uploads")
    assert api.submit(LONG).status_code == 202, "rows hold everything"


def test_a_body_at_the_very_limit_goes_through(scene: Scene) -> None:
    api = scene.api()
    limit = 8 << 20
    head, tail = b'{"model":"sum","inputs":{"x":[1,2,3', b"]}}"
    body = head + b" " * (limit - len(head) - len(tail)) + tail
    headers = {"content-type": "application/json"}
    answer = api.client.post("/predict_async", content=body, headers=headers)
    assert answer.status_code == 202
    assert api.store.submitted[answer.json()["job_id"]].size == limit - len('{"model":"sum","inputs":}')
    refused = api.client.post("/predict_async", content=body + b" ", headers=headers)
    assert _kind(refused) == (413, "too-large")
    assert "/uploads" not in refused.json()["detail"], "which take less here"


def test_what_is_too_large_is_told_of_uploads(scene: Scene, start: Start) -> None:
    length = len(json.dumps(LONG))

    async def chunks() -> Any:
        for _ in range(length):
            yield b" "

    for content in (b" " * length, chunks()):
        answer = scene.api(body=length - 1).client.post(
            "/predict_async", content=content, headers={"content-type": "application/json"}
        )
        assert _kind(answer) == (413, "too-large")
        assert "put a larger input where POST /uploads says" in answer.json()["detail"]
    assert "/uploads" not in start(body=10).submit(LONG).json()["detail"], "there are none"
