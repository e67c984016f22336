"""Uploads that are slow, late or many keep nobody else from uploading. Addresses and contents: test_api_payloads.py."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_driver import Api, Start, until

from api.deps import Large
from api.pace import Pace
from pipelines.payloads.deposits import Deposits
from pipelines.payloads.folder import FolderPayloads
from pipelines.rate import Rate

KEYS = {hashlib.sha256(name.encode()).hexdigest(): name for name in ("team-a", "team-b")}
NOW = 1_700_000_000.0


class Clock:
    ahead = 0.0

    def __call__(self) -> float:
        return NOW + self.ahead


class Scene:
    def __init__(self, start: Start, folder: Path) -> None:
        self.clock = Clock()
        self.root = folder
        self.folder = FolderPayloads(folder, "store-1")
        self._start = start

    def api(self, **options: Any) -> Api:
        large = Large(Deposits(self.folder, 20), self.folder, self.folder, 100_000)
        return self._start(large=large, clock=self.clock, **options)

    @property
    def kept(self) -> int:
        return sum(len(page) for page in self.folder.older(0))

    @property
    def incoming(self) -> int:
        there = self.root / ".incoming"
        return len(list(there.iterdir())) if there.exists() else 0


@pytest.fixture
def scene(start: Start, tmp_path: Path) -> Scene:
    return Scene(start, tmp_path)


class Held:
    """An upload that stops after its first byte until it is told to go on."""

    def __init__(self, api: Api, url: str) -> None:
        self._loop = api.client.loop
        self._go = asyncio.Event()
        self.begun = False
        self.answer: Callable[[], httpx.Response] = api.client.begin("PUT", url, content=self._content())

    def end(self) -> int:
        self._loop.call_soon_threadsafe(self._go.set)
        return self.answer().status_code

    async def _content(self) -> AsyncIterator[bytes]:
        yield b"1"
        self.begun = True
        await self._go.wait()
        yield b"2"


def _address(api: Api, tenant: str = "") -> str:
    answer = api.client.post("/uploads", headers={"x-api-key": tenant} if tenant else {})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"])


def _kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


def test_an_address_takes_one_upload_at_a_time(scene: Scene) -> None:
    api = scene.api()
    url = _address(api)
    held = Held(api, url)
    until(lambda: held.begun)
    refused = api.client.request("PUT", url, content=b"{}")
    assert _kind(refused) == (409, "upload-under-way")
    assert refused.headers["connection"] == "close", "nobody reads what it sends"
    assert held.end() == 200
    assert _kind(api.client.request("PUT", url, content=b"{}")) == (412, "already-uploaded")


def test_after_one_that_failed_the_address_is_free(scene: Scene) -> None:
    api = scene.api()
    url = _address(api)
    assert api.client.request("PUT", url, content=b"x" * 100_001).status_code == 413
    assert api.client.request("PUT", url, content=b"{}").status_code == 200


def test_one_that_trickles_is_given_up(scene: Scene) -> None:
    api = scene.api(pace=Pace(grace=0.1))
    answer = Held(api, _address(api)).answer()
    assert _kind(answer) == (408, "timeout")
    assert "65536 bytes a second" in answer.json()["detail"]
    until(lambda: not scene.incoming)
    assert scene.kept == 0


def test_no_tenant_has_all_of_them(scene: Scene) -> None:
    api = scene.api(keys=KEYS)
    held = [Held(api, _address(api, "team-a")) for _ in range(32)]
    until(lambda: all(one.begun for one in held))
    assert _kind(api.client.request("PUT", _address(api, "team-a"), content=b"{}")) == (429, "overloaded")
    assert api.client.request("PUT", _address(api, "team-b"), content=b"{}").status_code == 200
    assert {one.end() for one in held} == {200}
    assert api.client.request("PUT", _address(api, "team-a"), content=b"{}").status_code == 200


def test_an_address_that_expires_meanwhile_takes_nothing(scene: Scene) -> None:
    api = scene.api()
    held = Held(api, _address(api))
    until(lambda: held.begun)
    scene.clock.ahead = 3601
    assert held.end() == 403
    assert scene.kept == 0


def test_an_upload_larger_than_the_models_shapes_can_need_is_refused_when_it_is_submitted(scene: Scene) -> None:
    api = scene.api()
    for size, status in ((70_000, 413), (65_536, 202)):
        url = _address(api)
        assert api.client.request("PUT", url, content=b" " * size).status_code == 200
        answer = api.submit({"model": "sum", "inputs_ref": url.split("/")[2].partition("?")[0]})
        assert answer.status_code == status
        if status == 413:
            assert _kind(answer) == (413, "too-large")
            assert "70000 bytes, model sum takes at most 65536 (limits.max_upload_bytes)" in answer.json()["detail"]


def test_addresses_count_against_the_rate_of_submissions(scene: Scene) -> None:
    api = scene.api(rate=Rate(interval=3600.0, burst=3))
    _address(api), _address(api)
    assert api.submit().status_code == 202
    refused = api.client.post("/uploads")
    assert _kind(refused) == (429, "rate-limited")
    assert int(refused.headers["retry-after"]) > 3000
