"""What only S3 can meet: leases that end, holders that stood still, conditions, answers that are lost."""

import functools
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from pipelines.s3.address import S3Address
from pipelines.s3.connecting import Bounds, connect
from pipelines.scoring.faults import LockLost, OtherRun, RunBusy, StorageFault
from pipelines.scoring.storage.lock import Times
from pipelines.scoring.storage.opening import open_storage
from pipelines.scoring.storage.s3.objects import Objects
from pipelines.scoring.storage.s3.storage import BucketStorage
from pipelines.scoring.storage.s3.upload import CHUNK, SENDERS, WAITING
from tests.contract.scoring_attempts import attempt, contents, make, manifest, write
from tests.contract.scoring_outputs import Clock, Subject
from tests.services.moto_server import ACCESS

ROOT = Path(__file__).parents[2]
LOCK = "_forebay/lock.json"


@pytest.fixture
def bucketed(output_of: Callable[[str], Subject]) -> Subject:
    return output_of("s3")


def nobody(line: str) -> None:
    pytest.fail(f"waited: {line}")


def later(subject: Subject) -> BucketStorage:
    """Somebody for whom time passes while it waits."""
    clock = Clock()
    return subject.open(clock=clock, wait=clock.wait)  # type: ignore[return-value]


def test_a_dead_holder_is_taken_over_when_its_lease_ended(bucketed: Subject) -> None:
    dead = bucketed.open().lock("r1", "airflow@node-1", nobody)
    told: list[str] = []
    clock = Clock()
    held = bucketed.open(clock=clock, wait=clock.wait).lock("r1", "me", told.append)
    assert clock.at >= Times().lease
    assert held.fence == dead.fence + 1
    assert len(told) == 1
    assert "airflow@node-1 held it, with run r1: waiting" in told[0]
    dead.beat()
    with pytest.raises(LockLost, match="me took the lock over, with run r1"):
        dead.check()
    dead.release()
    held.beat()
    held.check()
    held.release()
    assert bucketed.open().lock("r1", "me", nobody).fence == held.fence + 1


def test_a_holder_without_a_heartbeat_gives_up_in_time(bucketed: Subject) -> None:
    clock = Clock()
    held = bucketed.open(clock=clock).lock("r1", "me", nobody)
    clock.at = 15.0
    held.beat()
    clock.at = 34.0
    held.check()
    clock.at = 35.0
    with pytest.raises(LockLost, match="no heartbeat of the lock succeeded for 20 s"):
        held.check()
    held.release()


def test_a_holder_that_beats_is_never_taken_over(bucketed: Subject) -> None:
    """Also when who waits looks only after the time of a whole lease."""
    first = bucketed.open().lock("r1", "me", nobody)
    clock = Clock()

    def wait(seconds: float) -> None:
        clock.at += 100.0
        first.beat()  # type: ignore[attr-defined]

    with pytest.raises(RunBusy):
        bucketed.open(clock=clock, wait=wait).lock("r1", "other", lambda line: None)
    first.check()
    first.release()


def test_a_beat_whose_answer_was_lost_loses_nothing(bucketed: Subject) -> None:
    held = bucketed.open().lock("r1", "me", nobody)
    seen = bucketed.objects.get(LOCK)
    assert seen is not None
    bucketed.objects.put(LOCK, seen.data.replace(b'"beat":0', b'"beat":7'))
    held.beat()
    held.check()
    held.release()
    bucketed.open().lock("r2", "me", nobody).release()


def test_a_put_whose_answer_was_lost_was_ours(bucketed: Subject) -> None:
    etag = bucketed.objects.put("x", b"ours")
    assert bucketed.objects.put_if("x", b"ours", None) == etag
    assert bucketed.objects.put_if("x", b"theirs", None) is None
    assert bucketed.objects.put_if("x", b"theirs", '"other"') is None
    assert bucketed.objects.put_if("gone", b"theirs", etag) is None
    assert bucketed.objects.put_if("x", b"new", etag) is not None


def test_a_lock_that_was_removed_is_noticed(bucketed: Subject) -> None:
    attempt(bucketed.open(), "r1")
    held = bucketed.open().lock("r2", "me", nobody)
    bucketed.objects.remove([LOCK])
    held.beat()
    with pytest.raises(LockLost, match="removed"):
        held.check()
    held.release()
    again = bucketed.open().lock("r2", "me", nobody)
    assert again.fence == 2  # above that of the output
    again.release()


def _without(header: str, params: dict[str, Any], **others: object) -> None:
    params["headers"].pop(header, None)


def test_a_storage_that_ignores_conditions_is_refused(
    bucketed: Subject, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)
    for header in ("If-None-Match", "If-Match"):
        client = connect(S3Address("any", endpoint=s3, region="us-east-1"), Bounds(attempts=1))
        client.meta.events.register("before-call.s3.PutObject", functools.partial(_without, header))
        objects = Objects(client, bucketed.objects.at)
        with pytest.raises(StorageFault, match=f"ignores {header.replace('-', '')} on puts"):
            BucketStorage(objects, objects).lock("r1", "me", nobody)
        assert bucketed.objects.get(LOCK) is None
        client.close()


def test_a_record_of_who_stood_still_changes_nothing(bucketed: Subject) -> None:
    frozen, taker = bucketed.open().run("r1")[0], bucketed.open().run("r1")[0]
    assert frozen.get("parts/0.json") is None
    assert taker.get("parts/0.json") is None
    taker.put("parts/0.json", b"taker")
    with pytest.raises(LockLost, match="written by another attempt"):
        frozen.put("parts/0.json", b"frozen")
    taker.put("parts/0.json", b"taker again")
    assert taker.get("parts/0.json") == b"taker again"


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("step", ["publish-completed", "publish-manifest"])
def test_who_stood_still_in_the_middle_of_publishing_publishes_nothing(
    bucketed: Subject, step: str, overwrite: bool
) -> None:
    def stand_still(at: str) -> None:
        if at == step:
            attempt(later(bucketed), "r2", tell=lambda line: None)
            frozen[0].beat()  # as its thread would

    frozen: list[Any] = []
    with pytest.raises(LockLost, match="took the lock over"):
        attempt(bucketed.open(stand_still), "r1", overwrite, holding=frozen.append)
    frozen[0].release()
    current = bucketed.open().current()
    assert current is not None
    assert current.order.run_id == "r2"
    assert contents("r2").items() <= bucketed.data().items()


def test_the_pointer_decides_when_the_lock_could_not(bucketed: Subject) -> None:
    """Whoever stood still between its last look at the lock and the put."""

    def stand_still(at: str) -> None:
        if at == "publish-manifest":
            attempt(later(bucketed), "r2", tell=lambda line: None)

    frozen: list[Any] = []
    with pytest.raises(OtherRun, match="somebody else published there meanwhile"):
        attempt(bucketed.open(stand_still), "r1", holding=frozen.append)
    frozen[0].release()
    current = bucketed.open().current()
    assert current is not None
    assert current.order.run_id == "r2"


ZOMBIE = """
import sys
from pipelines.s3.connecting import Bounds, connect
from pipelines.s3.address import parse
from pipelines.scoring.faults import ScoreFault
from pipelines.scoring.storage.lock import Times
from pipelines.scoring.storage.s3.objects import Objects
from pipelines.scoring.storage.s3.storage import BucketStorage
from tests.contract.scoring_attempts import make, manifest, contents

at = parse(sys.argv[1])
objects = Objects(connect(at, Bounds(attempts=1)), at)
storage = BucketStorage(objects, objects, times=Times(beat=0.2, lease=1.0))
held = storage.lock("r1", "zombie", print)
files = make(storage, held, "r1", contents("r1"))
print(held.fence, flush=True)
for line in sys.stdin:
    try:
        held.check()
        storage.run("r1")[0].put("late.json", b"late")
        storage.publish(held, manifest("r1", files), files, (), overwrite=True)
        print("published", flush=True)
    except ScoreFault as fault:
        print(type(fault).__name__, fault, flush=True)
"""


def test_a_process_that_was_stopped_is_taken_over_and_then_refused(bucketed: Subject, s3: str) -> None:
    at = bucketed.objects.at
    uri = f"{at}?endpoint={s3}&region=us-east-1"
    command, env = [sys.executable, "-c", ZOMBIE, uri], {**ACCESS, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    zombie = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with zombie:
        assert zombie.stdin is not None
        assert zombie.stdout is not None
        assert select.select([zombie.stdout], [], [], 30.0)[0]
        fence = int(zombie.stdout.readline())
        with pytest.raises(RunBusy, match="zombie is at it"):  # which its thread shows
            bucketed.open().lock("r1", "me", lambda line: None)
        zombie.send_signal(signal.SIGSTOP)
        told: list[str] = []
        storage = bucketed.open()
        held = storage.lock("r1", "me", told.append)
        assert held.fence == fence + 1
        assert len(told) == 1
        files = make(storage, held, "r1", contents("r1"))
        zombie.send_signal(signal.SIGCONT)
        zombie.stdin.write("go on\n")
        zombie.stdin.flush()
        assert select.select([zombie.stdout], [], [], 30.0)[0]
        assert zombie.stdout.readline().startswith("LockLost")
        assert storage.current() is None
        assert storage.run("r1")[0].get("late.json") is None
        held.check()
        storage.publish(held, manifest("r1", files), files, (), overwrite=False)
        held.release()
        zombie.stdin.close()
        assert zombie.wait(30) == 0
    assert bucketed.data() == contents("r1")


def test_a_killed_process_leaves_uploads_that_its_heir_completes(bucketed: Subject, s3: str) -> None:
    uri = f"{bucketed.objects.at}?endpoint={s3}&region=us-east-1"
    command = [sys.executable, "-m", "tests.contract.scoring_attempts", uri, "r2", "publish-noted"]
    env = {**ACCESS, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == -signal.SIGKILL
    attempt(later(bucketed), "r2", tell=lambda line: None)
    assert bucketed.data() == contents("r2")
    assert bucketed.left() == []


def test_memory_is_bounded_while_a_part_is_sent(bucketed: Subject) -> None:
    written, sent = 0, 0
    most = 0
    lock = threading.Lock()

    def count(step: str) -> None:
        nonlocal sent, most
        if step == "part-chunk":
            with lock:
                most = max(most, written - sent)
                sent += 1

    part = bucketed.open(count).run("r1")[1].begin("a.parquet")
    for _ in range(8):
        part.write(b"x" * CHUNK)
        written += 1
    file = part.finish(1)
    assert (sent, len(file.handle["etags"])) == (8, 8)
    assert most <= SENDERS + WAITING
    assert bucketed.open().run("r1")[1].holds(file)


def test_a_chunk_that_fails_is_told(bucketed: Subject) -> None:
    storage = bucketed.open()
    part = storage.run("r1")[1].begin("a.parquet")
    uploads = bucketed.objects.client.list_multipart_uploads(Bucket=bucketed.objects.at.bucket)["Uploads"]
    bucketed.objects.client.abort_multipart_upload(**bucketed.objects.key("a.parquet"), UploadId=uploads[0]["UploadId"])
    part.write(b"x")
    with pytest.raises(StorageFault, match="UploadPart"):
        part.finish(1)
    part.discard()
    storage.forget("r1")
    assert bucketed.left() == []


def test_an_upload_that_a_rule_aborted_is_not_held(bucketed: Subject) -> None:
    storage = bucketed.open()
    file = write(storage, "r1", "a.parquet", b"x")
    bucketed.objects.client.abort_multipart_upload(**bucketed.objects.key("a.parquet"), UploadId=file.handle["upload"])
    assert not storage.run("r1")[1].holds(file)
    bucketed.put_stranger("a.parquet")
    assert not storage.run("r1")[1].holds(file)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name, value in {
        **ACCESS,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return monkeypatch


def _told(uri: str) -> str:
    storage = open_storage(uri)
    with pytest.raises(StorageFault) as fault:
        storage.lock("r1", "me", nobody)
    storage.close()
    assert "\n" not in str(fault.value)
    assert str(fault.value).startswith("output s3://")
    return str(fault.value)


def test_no_bucket(environment: pytest.MonkeyPatch, s3: str) -> None:
    told = _told(f"s3://forebay-none/x?endpoint={s3}&region=us-east-1")
    assert "there is no bucket 'forebay-none': make it, or name another" in told


def test_no_credentials(environment: pytest.MonkeyPatch, s3: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.delenv(name)
    assert "no credentials" in _told(f"s3://forebay-none/x?endpoint={s3}&region=us-east-1")


@pytest.fixture
def no_s3() -> Iterator[str]:
    """A web server that is something else."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(400)
            self.end_headers()
            self.wfile.write(b"<html><body>It works!<br></body></html>")

        def log_message(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_endpoint_that_is_no_s3(environment: pytest.MonkeyPatch, no_s3: str) -> None:
    told = _told(f"s3://forebay-none/x?endpoint={no_s3}&region=us-east-1")
    assert f"{no_s3} does not answer as S3 does (400: Bad Request): is the endpoint right?" in told


def test_no_permission(bucketed: Subject, environment: pytest.MonkeyPatch, s3: str) -> None:
    client = connect(S3Address("any", endpoint=s3, region="us-east-1"), Bounds(attempts=1))
    objects = Objects(client, bucketed.objects.at)
    with Stubber(client) as stubbed:
        stubbed.add_client_error("get_object", "AccessDenied", "Access Denied", 403)
        with pytest.raises(StorageFault, match=r"no permission to GetObject: see docs/how-to/score-storage\.md"):
            BucketStorage(objects, objects).current()
    client.close()
