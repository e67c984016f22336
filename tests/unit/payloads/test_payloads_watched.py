"""Whether payloads are away: told once each way, whoever notices, and found out without traffic."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.payloads import keys
from pipelines.payloads.folder import FolderPayloads
from pipelines.payloads.lookout import Lookout
from pipelines.payloads.port import Found, PayloadMissing, PayloadsAway
from pipelines.payloads.presence import CALM_S, Presence
from pipelines.payloads.watched import WatchedPayloads, WatchedReceiving, WatchedUploads

KEY = keys.of_input("default", "a", 0, b"1")
UPLOAD = f"default/uploads/{'0' * 32}"
GONE = PayloadsAway("payloads: fake: gone")


class Fake:
    """A place whose every call raises `fault`, where there is one."""

    place = "fake"

    def __init__(self) -> None:
        self.fault: Exception | None = None
        self.there: Found | None = None
        self.hold = threading.Event()
        self.hold.set()

    def look(self) -> None:
        self.hold.wait(10)
        self._enter()

    def put(self, key: str, data: bytes) -> None:
        self._enter()

    def get(self, key: str, size: int | None = None) -> bytes:
        self._enter()
        return b"1"

    def remove(self, keys: Any) -> None:
        self._enter()

    def found(self, key: str) -> Found | None:
        self._enter()
        return self.there

    def presign(self, key: str, size: int | None, seconds: float) -> None:
        self._enter()

    def receive(self, key: str) -> "Fake":
        self._enter()
        return self

    def secret(self) -> bytes:
        self._enter()
        return b""

    def write(self, chunk: bytes) -> None:
        self._enter()

    def finish(self) -> bool:
        self._enter()
        return True

    def close(self) -> None: ...

    def _enter(self) -> None:
        if self.fault is not None:
            raise self.fault


class Scene:
    def __init__(self) -> None:
        self.now = 1000.0
        self.said: list[str] = []
        self.fake = Fake()
        self.presence = Presence(self.said.append, lambda: self.now)
        self.payloads = WatchedPayloads(self.fake, self.presence)
        self.uploads = WatchedUploads(self.fake, self.presence)
        self.receiving = WatchedReceiving(self.fake, self.presence)
        self.lookout = Lookout(self.fake, self.presence, every=0.01, first=0.05)


@pytest.fixture
def scene() -> Scene:
    return Scene()


CALLS: dict[str, Callable[[Scene], object]] = {
    "put": lambda scene: scene.payloads.put(KEY, b"1"),
    "get": lambda scene: scene.payloads.get(KEY),
    "remove": lambda scene: scene.payloads.remove([KEY]),
    "found": lambda scene: scene.uploads.found(UPLOAD),
    "presign": lambda scene: scene.uploads.presign(UPLOAD, None, 1.0),
    "receive": lambda scene: scene.receiving.receive(UPLOAD),
    "secret": lambda scene: scene.receiving.secret(),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_call_that_fails_is_seen_and_told_once(scene: Scene, name: str) -> None:
    scene.fake.fault = GONE
    for _ in range(3):
        with pytest.raises(PayloadsAway):
            CALLS[name](scene)
    assert (scene.presence.away, scene.said) == (str(GONE), [str(GONE)])
    scene.fake.fault = None
    for _ in range(3):
        scene.payloads.put(KEY, b"1")
    assert (scene.presence.away, scene.said) == (None, [str(GONE), "payloads: there again"])


def test_an_upload_under_way_is_seen_too(scene: Scene) -> None:
    incoming = scene.receiving.receive(UPLOAD)
    scene.fake.fault = GONE
    with pytest.raises(PayloadsAway):
        incoming.write(b"1")
    assert scene.presence.away == str(GONE)


def test_what_is_missing_is_an_answer_and_an_upload_that_is_none_is_not(scene: Scene) -> None:
    scene.presence.looked("payloads: fake: there is no such bucket")
    assert scene.uploads.found(UPLOAD) is None
    assert scene.uploads.presign(UPLOAD, None, 1.0) is None
    assert scene.presence.away is not None, "S3 says the same of a bucket that is not there"
    scene.fake.fault = PayloadMissing("payload: not there")
    with pytest.raises(PayloadMissing):
        scene.payloads.get(KEY)
    assert scene.presence.away is None


def test_a_start_tells_what_is_away_and_looks_until_it_is_there(scene: Scene) -> None:
    scene.fake.fault = GONE
    scene.lookout.start()
    assert (scene.presence.away, scene.said) == (str(GONE), [str(GONE)])
    scene.fake.fault = None
    _until(lambda: scene.presence.away is None)
    scene.lookout.close()
    assert scene.said[1:] == ["payloads: there again"]


def test_a_start_waits_for_no_place_that_hangs(scene: Scene) -> None:
    scene.fake.hold.clear()
    scene.lookout.start()
    assert scene.presence.away == "payloads: fake: no answer within 0.05 s"
    scene.fake.hold.set()
    _until(lambda: scene.presence.away is None)
    scene.lookout.close()


def test_a_look_does_not_excuse_a_call_that_fails_beside_it(scene: Scene) -> None:
    """A bucket that answers and takes nothing would come and go in the log every few seconds."""
    scene.fake.fault = GONE
    with pytest.raises(PayloadsAway):
        scene.payloads.put(KEY, b"1")
    scene.fake.fault = None
    scene.lookout.step()
    assert scene.presence.away is not None
    scene.now += CALM_S
    scene.lookout.step()
    assert scene.presence.away is None


class TestFolder:
    def test_it_need_not_be_there_yet(self, tmp_path: Path) -> None:
        FolderPayloads(tmp_path / "a" / "b", "store-1").look()
        assert not list(tmp_path.iterdir()), "a look makes nothing"

    def test_what_is_no_folder_is_away(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("")
        with pytest.raises(PayloadsAway, match="a is no folder"):
            FolderPayloads(tmp_path / "a" / "b", "store-1").look()

    def test_so_is_one_that_cannot_be_written_to(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.access", lambda at, mode: False)  # the test may run as root
        with pytest.raises(PayloadsAway, match=r"not there, and .* cannot be written to"):
            FolderPayloads(tmp_path / "a", "store-1").look()


def _until(true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if true():
            return
        waiting.wait(0.01)
    raise AssertionError("it never came to be")
