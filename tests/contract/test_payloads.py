"""The contract of payloads (pipelines/payloads/port.py), the same over memory, a folder and S3."""

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from forebay.payloads_address import parse
from pipelines.payloads import keys
from pipelines.payloads.folder import FolderPayloads
from pipelines.payloads.memory import MemoryPayloads
from pipelines.payloads.port import PayloadMissing, PayloadsAway
from pipelines.payloads.s3 import S3Payloads, connect
from pipelines.s3.address import S3Address

LARGE = b"x" * 300_000


class Now:
    """Of whoever looks; what is put has the storage's own time."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Subject:
    def __init__(self, kind: str, payloads: Any, now: Now, folder: Path) -> None:
        self.kind = kind
        self.payloads = payloads
        self.now = now
        self.folder = folder

    def damage(self, key: str, data: bytes) -> None:
        """Somebody else's write."""
        if self.kind == "folder":
            (self.folder / "store-1" / key).write_bytes(data)
        else:
            self.payloads._client.put_object(Bucket=self.payloads._bucket, Key=self.payloads._name(key), Body=data)

    def listed(self, age: float = 0.0) -> list[str]:
        return sorted(key for page in self.payloads.older(age) for key in page)


def _s3(address: str, store: str, now: Now) -> S3Payloads:
    at = parse(address)
    assert isinstance(at, S3Address)
    return S3Payloads(connect(at), at, store, now)


def _open(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Subject]:
    now = Now()
    if kind == "s3":
        payloads = _s3(request.getfixturevalue("bucket"), "store-1", now)
        yield Subject(kind, payloads, now, folder)
        payloads._client.close()
    elif kind == "folder":
        yield Subject(kind, FolderPayloads(folder, "store-1", now), now, folder)
    else:
        yield Subject(kind, MemoryPayloads(now), now, folder)


@pytest.fixture(params=["memory", "folder", "s3"])
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    yield from _open(request.param, request, tmp_path / "payloads")


@pytest.fixture(params=["folder", "s3"])
def durable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    yield from _open(request.param, request, tmp_path / "payloads")


def _key(data: bytes = LARGE, job: str = "job-1", tenant: str = "default") -> str:
    return keys.of_input(tenant, job, 0, data)


def test_what_was_put_is_got_whole(subject: Subject) -> None:
    every = {_key(data, job): data for job, data in (("a", LARGE), ("b", b""), ("c", b"\0\xff\n"))}
    for key, data in every.items():
        subject.payloads.put(key, data)
        subject.payloads.put(key, data)  # again: the reply was lost
    assert {key: subject.payloads.get(key, len(data)) for key, data in every.items()} == every
    assert subject.listed() == sorted(every)


def test_a_place_that_is_there_is_looked_at(durable: Subject) -> None:
    durable.payloads.look()
    assert durable.listed() == []


def test_a_bucket_that_is_not_there_is_away_and_says_so(bucket: str) -> None:
    address = bucket.replace("s3://", "s3://no-", 1)
    other = _s3(address, "store-1", Now())
    with pytest.raises(PayloadsAway, match=r"s3://no-\S+: there is no such bucket"):
        other.look()
    other._client.close()


def test_what_is_not_there_is_missing(subject: Subject) -> None:
    subject.payloads.put(_key(), LARGE)
    with pytest.raises(PayloadMissing, match="job-2"):
        subject.payloads.get(_key(job="job-2"))


def test_another_size_than_expected_is_missing_and_unread(subject: Subject) -> None:
    subject.payloads.put(_key(), LARGE)
    with pytest.raises(PayloadMissing, match="300000 bytes, expected 3"):
        subject.payloads.get(_key(), 3)


def test_what_was_damaged_is_missing_and_says_so(durable: Subject) -> None:
    durable.payloads.put(_key(), LARGE)
    durable.damage(_key(), b"y" + LARGE[1:])
    with pytest.raises(PayloadMissing, match="not what was put"):
        durable.payloads.get(_key(), len(LARGE))
    durable.payloads.put(_key(), LARGE)
    assert durable.payloads.get(_key()) == LARGE


def test_removing_takes_exactly_what_is_named(subject: Subject) -> None:
    wanted, other = [_key(job=f"job-{n}") for n in range(5)], _key(job="other")
    for key in (*wanted, other):
        subject.payloads.put(key, LARGE)
    subject.payloads.remove([*wanted, _key(job="never there")])
    subject.payloads.remove(wanted)
    subject.payloads.remove([])
    assert subject.listed() == [other], "the same content, another's payload"
    assert subject.payloads.get(other) == LARGE


def test_only_what_is_old_enough_is_listed(subject: Subject) -> None:
    every = sorted(_key(job=f"job-{n}", tenant=f"t{n % 2}") for n in range(4))
    for key in every:
        subject.payloads.put(key, LARGE)
    assert subject.listed(age=3600.0) == []
    subject.now.ahead = 7200.0
    assert subject.listed(age=3600.0) == every


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "default/../x", "/etc/passwd", "default/ab/" + "c" * 64 + "-i1.0", "", "a\0b"]
)
def test_no_path_from_outside_is_ever_used(subject: Subject, key: str) -> None:
    for call in (subject.payloads.get, lambda key: subject.payloads.put(key, b"")):
        with pytest.raises(ValueError, match="no payload's key"):
            call(key)


def test_stores_do_not_see_each_others(durable: Subject, request: pytest.FixtureRequest) -> None:
    durable.payloads.put(_key(), LARGE)
    now = Now()
    if durable.kind == "folder":
        other: Any = FolderPayloads(durable.folder, "store-2", now)
        other.put(_key(b"1"), b"1")
    else:
        other = S3Payloads(durable.payloads._client, S3Address(durable.payloads._bucket, "payloads"), "store-2", now)
    with pytest.raises(PayloadMissing):
        other.get(_key())
    assert _key() not in [key for page in other.older(0.0) for key in page]


def test_many_threads_at_once(durable: Subject) -> None:
    faults: list[BaseException] = []

    def work(number: int) -> None:
        data = str(number).encode() * 1000
        try:
            durable.payloads.put(_key(data), data)
            assert durable.payloads.get(_key(data), len(data)) == data
        except BaseException as fault:  # noqa: BLE001  # raised below
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


class TestUploads:
    def _put(self, subject: Subject, key: str, data: bytes, **named: Any) -> int:
        """The status of a client's PUT; for a folder what the API makes of it."""
        presigned = subject.payloads.presign(key, named.get("size"), 60.0)
        if presigned is not None:
            return httpx.put(presigned.url, content=data, headers=presigned.headers).status_code
        incoming = subject.payloads.receive(key)
        try:
            for start in range(0, len(data), 65_536):
                incoming.write(data[start : start + 65_536])
            return 200 if incoming.finish() else 412
        except PayloadMissing:
            return 400
        finally:
            incoming.close()

    def test_an_upload_is_found_with_its_size_and_age(self, durable: Subject) -> None:
        key = keys.of_upload("default", "0" * 32)
        assert durable.payloads.found(key) is None
        assert self._put(durable, key, LARGE) == 200
        found = durable.payloads.found(key)
        assert (found.size, found.age < 60) == (len(LARGE), True)
        durable.now.ahead = 7200.0
        assert durable.payloads.found(key).age > 7000
        assert durable.payloads.get(key, len(LARGE)) == LARGE

    def test_it_is_written_once(self, durable: Subject) -> None:
        key = keys.of_upload("default", "1" * 32)
        assert [self._put(durable, key, data) for data in (b"first", b"second")] == [200, 412]
        assert durable.payloads.get(key) == b"first"

    def test_a_digest_that_was_named_holds(self, durable: Subject) -> None:
        key = keys.of_upload("default", f"{'2' * 32}-{hashlib.sha256(LARGE).hexdigest()}")
        if self._put(durable, key, b"something else") == 200:  # moto's S3 checks no checksums: then we do
            with pytest.raises(PayloadMissing, match="not what was put"):
                durable.payloads.get(key)
            return
        assert durable.payloads.found(key) is None
        assert self._put(durable, key, LARGE) == 200
        assert durable.payloads.get(key) == LARGE

    def test_what_was_named_is_signed(self, bucket: str) -> None:
        payloads = _s3(bucket, "store-1", Now())
        key = keys.of_upload("default", f"{'3' * 32}-{hashlib.sha256(LARGE).hexdigest()}")
        presigned = payloads.presign(key, 7, 60.0)
        assert presigned is not None
        signed = httpx.URL(presigned.url).params["X-Amz-SignedHeaders"].split(";")
        assert {"content-length", "if-none-match", "x-amz-checksum-sha256"} <= set(signed)
        assert set(map(str.lower, presigned.headers)) == set(signed) - {"host"}
        payloads._client.close()


class TestAway:
    def test_a_folder_that_is_not_there_loses_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(PayloadsAway, match="is it mounted"):
            FolderPayloads(tmp_path / "nowhere", "store-1").get(_key())

    def test_a_folder_that_is_a_file_is_told_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        payloads = FolderPayloads(tmp_path / "file", "store-1")
        for call in (lambda: payloads.put(_key(), b""), payloads.secret, lambda: payloads.receive(_key())):
            with pytest.raises(PayloadsAway) as told:
                call()
            assert "\n" not in str(told.value)

    def test_no_bucket(self, bucket: str) -> None:
        payloads = _s3(bucket.replace("s3://forebay-", "s3://another-"), "store-1", Now())
        for call in (lambda: payloads.put(_key(), b""), lambda: payloads.get(_key())):
            with pytest.raises(PayloadsAway, match="NoSuchBucket"):
                call()
        payloads._client.close()

    def test_no_server(self, bucket: str) -> None:
        payloads = _s3("s3://forebay-x?endpoint=http://127.0.0.1:9&region=us-east-1", "store-1", Now())
        with pytest.raises(PayloadsAway, match=r"127\.0\.0\.1:9"):
            payloads.get(_key())
        payloads._client.close()

    def test_what_a_killed_process_left_half_written_is_dropped(self, tmp_path: Path) -> None:
        now = Now()
        payloads = FolderPayloads(tmp_path, "store-1", now)
        left = payloads.receive(_key())
        left.write(b"half")
        assert len(list((tmp_path / ".incoming").iterdir())) == 1
        assert list(payloads.older(3600.0)) == []
        now.ahead = 7200.0
        assert list(payloads.older(3600.0)) == []
        assert list((tmp_path / ".incoming").iterdir()) == []
        left.close()

    def test_the_secret_is_one_however_many_make_it(self, tmp_path: Path) -> None:
        secrets = [FolderPayloads(tmp_path, store).secret() for store in ("store-1", "store-2")]
        assert secrets[0] == secrets[1]
        assert len(secrets[0]) == 32
        assert (tmp_path / ".secret").stat().st_mode & 0o777 == 0o600
