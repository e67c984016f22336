"""The contract of storages (pipelines/scoring/storage/port.py), the same over a folder and S3; what knows no files, over a
table too."""

import hashlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.scoring.faults import BadOrder, LockLost, OtherRun, RunBusy, StorageFault
from pipelines.scoring.storage.opening import open_storage
from pipelines.scoring.storage.port import Storage
from schemas.scoring import Published
from tests.contract.scoring_attempts import attempt, contents, make, manifest, write
from tests.contract.scoring_outputs import Killed, Subject, killed_at

ROOT = Path(__file__).parents[2]


def tell_nobody(line: str) -> None:
    pytest.fail(f"waited: {line}")


def published(subject: Subject, run_id: str) -> None:
    """This run is the output, whole, and nothing else is."""
    seen = subject.listed()
    assert subject.data() == contents(run_id)
    assert set(seen) - set(contents(run_id)) == {"_SUCCESS", "_forebay/current.json", f"_forebay/{run_id}.json"}
    current = subject.open().current()
    assert current is not None
    assert {part.path: part.sha256 for part in current.parts} == {
        path: hashlib.sha256(data).hexdigest() for path, data in contents(run_id).items()
    }


def test_a_run_is_seen_when_it_is_published_and_not_before(subject: Subject) -> None:
    storage = subject.open()
    assert storage.current() is None
    held = storage.lock("r1", "me", tell_nobody)
    files = make(storage, held, "r1", contents("r1"))
    assert subject.listed() == {}
    assert storage.current() is None
    storage.publish(held, manifest("r1", files), files, (), overwrite=False)
    storage.forget("r1")
    held.release()
    published(subject, "r1")
    assert subject.left() == []


def test_a_file_says_what_was_written(subject: Subject) -> None:
    storage = subject.open()
    held = storage.lock("r1", "me", tell_nobody)
    small, empty, large = b"x", b"", bytes(range(256)) * (70 << 10)  # more than two chunks
    files = [write(storage, "r1", f"{len(data)}.parquet", data) for data in (small, empty, large)]
    assert [file.size for file in files] == [1, 0, len(large)]
    assert [file.sha256 for file in files] == [hashlib.sha256(each).hexdigest() for each in (small, empty, large)]
    assert all(storage.run("r1")[1].holds(file) for file in files)
    storage.publish(held, manifest("r1", files), files, (), overwrite=False)
    assert subject.data() == {"1.parquet": small, "0.parquet": empty, f"{len(large)}.parquet": large}
    held.release()


def test_parquet_is_written_into_a_part(subject: Subject, tmp_path: Path) -> None:
    storage = subject.open()
    held = storage.lock("r1", "me", tell_nobody)
    table = pa.table({"id": list(range(100_000))})
    part = storage.run("r1")[1].begin("a.parquet")
    with pq.ParquetWriter(part, table.schema) as writer:
        writer.write_table(table)
    file = part.finish(table.num_rows)
    storage.publish(held, manifest("r1", [file]), [file], (), overwrite=False)
    (tmp_path / "read.parquet").write_bytes(subject.data()["a.parquet"])
    assert pq.read_table(tmp_path / "read.parquet").equals(table)
    held.release()


def test_a_discarded_part_leaves_nothing(subject: Subject) -> None:
    storage = subject.open()
    part = storage.run("r1")[1].begin("a.parquet")
    part.write(b"x" * (9 << 20))
    part.discard()
    part.discard()
    kept = write(storage, "r1", "b.parquet", b"x")
    assert storage.run("r1")[1].holds(kept)
    storage.forget("r1")
    assert not storage.run("r1")[1].holds(kept)
    assert subject.left() == []


def test_records_stay(any_subject: Subject) -> None:
    records, _ = any_subject.open().run("r1")
    assert records.get("plan.json") is None
    records.drop("plan.json")
    records.put("plan.json", b"1")
    records.put("parts/00001.json", b"2")
    records.put("plan.json", b"3")
    again, _ = any_subject.open().run("r1")
    assert again.get("plan.json") == b"3"
    assert again.get("parts/00001.json") == b"2"
    again.drop("plan.json")
    assert again.get("plan.json") is None
    with pytest.raises(ValueError, match="record"):
        again.get("../plan.json")


def test_others_are_told_who_is_at_it(any_subject: Subject) -> None:
    first = any_subject.open().lock("r1", "airflow@node-1", tell_nobody)
    waited: list[str] = []
    # Where the holder has to show that it is alive, it does so while the other one waits.
    given: dict[str, Any] = {} if any_subject.kind == "folder" else {"wait": lambda seconds: first.beat()}
    with pytest.raises(RunBusy, match=r"airflow@node-1 is at it since 20\d\d-.*run r1") as told:
        any_subject.open(**given).lock("r2", "me", waited.append)
    assert "\n" not in str(told.value)
    assert len(waited) == (any_subject.kind != "folder")
    first.check()
    first.release()
    first.release()
    second = any_subject.open().lock("r2", "me", tell_nobody)
    assert second.fence > first.fence
    with pytest.raises(LockLost):
        first.check()
    second.release()


def test_of_many_at_once_one_is_at_it(any_subject: Subject) -> None:
    def one(storage: Storage) -> None:
        barrier.wait()
        try:
            held.append(storage.lock("r1", "me", lambda line: None))
        except RunBusy:
            busy.append(1)

    held: list[Any] = []
    busy: list[int] = []
    barrier = threading.Barrier(6)

    def beat(seconds: float) -> None:
        for each in held:
            each.beat()

    given: dict[str, Any] = {} if any_subject.kind == "folder" else {"wait": beat}
    threads = [threading.Thread(target=one, args=(any_subject.open(**given),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(busy)) == (1, 5)
    held[0].release()


def test_what_is_published_is_replaced_only_when_told_to(subject: Subject) -> None:
    attempt(subject.open(), "r1")
    with pytest.raises(OtherRun, match="r1 is published there"):
        attempt(subject.open(), "r2", holding=(held := []).append)
    published(subject, "r1")
    held[0].release()
    attempt(subject.open(), "r2", overwrite=True)
    published(subject, "r2")
    assert subject.left() == []


def test_the_same_again_changes_nothing(subject: Subject) -> None:
    attempt(subject.open(), "r1")
    before = subject.listed()
    attempt(subject.open(), "r1")
    assert subject.listed() == before
    assert subject.left() == []


@pytest.mark.parametrize("path", ["theirs.parquet", "dt=2026-11-20/theirs.parquet", "_SUCCESS"])
def test_strangers_are_never_replaced(subject: Subject, path: str) -> None:
    subject.put_stranger(path)
    with pytest.raises(OtherRun, match="not of Forebay"):
        subject.open().current()
    with pytest.raises(OtherRun, match="not of Forebay"):
        attempt(subject.open(), "r1", holding=(held := []).append)
    held[0].release()
    with pytest.raises(OtherRun, match="not of Forebay") as refused:
        attempt(subject.open(), "r1", overwrite=True, holding=held.append)
    assert "overwrite" not in str(refused.value)
    held[1].release()
    assert subject.listed() == {path: b"stranger"}


def test_an_empty_output_is_valid(subject: Subject) -> None:
    attempt(subject.open(), "r1", wanted={})
    current = subject.open().current()
    assert current is not None
    assert current.parts == ()
    assert subject.data() == {}


def test_files_of_the_old_output_are_kept(subject: Subject) -> None:
    attempt(subject.open(), "r1")
    storage = subject.open()
    old = storage.current()
    assert old is not None
    keep, drop = old.parts
    held = storage.lock("r2", "me", tell_nobody)
    files = make(storage, held, "r2", contents("r2", 1))
    storage.publish(held, manifest("r2", [keep, *files]), files, [keep.path], overwrite=True)
    storage.forget("r2")
    assert subject.data() == {keep.path: contents("r1")[keep.path], **contents("r2", 1)}
    gone = Published("gone.parquet", 1, 1, "")
    with pytest.raises(StorageFault, match=r"gone\.parquet.*kept"):
        storage.publish(held, manifest("r2", [gone]), [], [gone.path], overwrite=True)
    assert drop.path not in subject.data()
    held.release()


def test_a_run_may_publish_again_what_it_improved(subject: Subject) -> None:
    attempt(subject.open(), "r1")
    storage = subject.open()
    old = storage.current()
    assert old is not None
    held = storage.lock("r1", "me", tell_nobody)
    more = write(storage, "r1", "more.parquet", b"more")
    new = manifest("r1", [*old.parts, more])
    storage.publish(held, new, [more], [part.path for part in old.parts], overwrite=False)
    storage.forget("r1")
    assert subject.data() == {**contents("r1"), "more.parquet": b"more"}
    assert storage.current() == new
    assert len([path for path in subject.listed() if path.startswith("_forebay/")]) == 2
    held.release()


def test_a_part_that_is_gone_is_told(subject: Subject) -> None:
    storage = subject.open()
    held = storage.lock("r1", "me", tell_nobody)
    files = make(storage, held, "r1", contents("r1"))
    storage.forget("r1")
    with pytest.raises(StorageFault, match="start the same command again"):
        storage.publish(held, manifest("r1", files), files, (), overwrite=False)
    assert storage.current() is None
    held.release()


def test_who_lost_the_lock_publishes_nothing(subject: Subject) -> None:
    storage = subject.open()
    held = storage.lock("r1", "me", tell_nobody)
    files = make(storage, held, "r1", contents("r1"))
    held.release()
    with pytest.raises(LockLost):
        storage.publish(held, manifest("r1", files), files, (), overwrite=True)
    assert subject.listed() == {}


@pytest.mark.parametrize("run_id", ["", ".", "../x", "a/b", "current", "lock", "x" * 129, "a b"])
def test_run_ids_are_names(any_subject: Subject, run_id: str) -> None:
    for use in (lambda s: s.lock(run_id, "me", tell_nobody), lambda s: s.run(run_id), lambda s: s.forget(run_id)):
        with pytest.raises(BadOrder, match="run id"):
            use(any_subject.open())


@pytest.mark.parametrize("path", ["", "/a", "a//b", "../a", "a/./b", "_forebay/x", "_SUCCESS", "a\0"])
def test_parts_stay_below_the_output(any_subject: Subject, path: str) -> None:
    with pytest.raises(BadOrder, match="part"):
        any_subject.open().run("r1")[1].begin(path)


BEFORE = {
    "folder": [
        *("part-written", "part-synced", "part-renamed", "publish-checked", "publish-cleared", "publish-linked"),
        *("publish-manifest", "publish-success", "publish-assembled"),
    ],
    "s3": [
        "part-begun",
        "part-noted",
        "part-chunk",
        "part-sent",
        "publish-noted",
        "publish-completed",
        "publish-manifest",
    ],
}
AFTER = {
    "folder": ["publish-swapped", "publish-tidied"],
    "s3": ["publish-pointer", "publish-removed", "publish-success", "publish-tidied"],
}
VISIBLE = {"folder": ["part-renamed", "publish-assembled"], "s3": ["part-sent", "publish-noted", "publish-completed"]}


def _steps(of: dict[str, list[str]]) -> list[Any]:
    return [pytest.param(kind, step, id=f"{kind}-{step}") for kind, steps in of.items() for step in steps]


def _killed(subject: Subject, step: str) -> None:
    """Run r2 dies there."""
    if subject.kind == "folder":
        command = [sys.executable, "-m", "tests.contract.scoring_attempts", str(subject.out), "r2", step]
        assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
        return
    held: list[Any] = []
    with pytest.raises(Killed):
        attempt(subject.open(killed_at(step)), "r2", overwrite=True, holding=held.append)
    held[0].release()


@pytest.mark.parametrize(("kind", "step"), _steps(BEFORE))
def test_killed_before_it_is_decided(output_of: Callable[[str], Subject], kind: str, step: str) -> None:
    subject = output_of(kind)
    attempt(subject.open(), "r1")
    _killed(subject, step)
    current = subject.open().current()
    assert current is not None
    assert current.order.run_id == "r1"
    assert contents("r1").items() <= subject.data().items()
    attempt(subject.open(), "r2", overwrite=True)
    published(subject, "r2")
    if step != "part-begun":  # the server knows of an upload, without a byte in it, and we do not yet
        assert subject.left() == []


@pytest.mark.parametrize(("kind", "step"), _steps(AFTER))
@pytest.mark.parametrize("then", ["lock", "forget"])
def test_killed_after_it_is_decided(output_of: Callable[[str], Subject], kind: str, step: str, then: str) -> None:
    """Whoever comes next puts it right, be it of another run."""
    subject = output_of(kind)
    attempt(subject.open(), "r1")
    _killed(subject, step)
    current = subject.open().current()
    assert current is not None
    assert current.order.run_id == "r2"
    assert contents("r2").items() <= subject.data().items()
    if then == "lock":
        subject.open().lock("r3", "me", tell_nobody).release()
        assert not list(subject.out.parent.rglob("*-r1.parquet"))
        published(subject, "r2")
    subject.open().forget("r2")
    published(subject, "r2")
    assert subject.left() == []


@pytest.mark.parametrize(("kind", "step"), _steps(VISIBLE))
def test_another_run_leaves_nothing_of_one_that_was_killed(
    output_of: Callable[[str], Subject], kind: str, step: str
) -> None:
    subject = output_of(kind)
    _killed(subject, step)
    assert subject.open().current() is None
    attempt(subject.open(), "r3")
    published(subject, "r3")
    subject.open().forget("r2")
    published(subject, "r3")
    assert subject.left() == []


@pytest.mark.parametrize(("kind", "step"), [("folder", "publish-swapped"), ("s3", "publish-pointer")])
def test_a_run_that_was_decided_may_be_tried_again(output_of: Callable[[str], Subject], kind: str, step: str) -> None:
    subject = output_of(kind)
    attempt(subject.open(), "r1")
    _killed(subject, step)
    attempt(subject.open(), "r2", overwrite=True)
    published(subject, "r2")
    assert subject.left() == []


def test_the_first_output_killed_half_way_is_no_stranger(output_of: Callable[[str], Subject]) -> None:
    subject = output_of("s3")
    _killed(subject, "publish-completed")
    attempt(subject.open(), "r2")
    published(subject, "r2")


def test_addresses(tmp_path: Path) -> None:
    for uri in (f"{tmp_path}/out", f"file://{tmp_path}/out", f"{tmp_path}/x/../out/"):
        assert open_storage(uri).name == f"{tmp_path}/out"
    for uri in (
        "",
        "gs://bucket/x",
        "file://host/x",
        "file:out/x://",
        "s3://KEY:secret@bucket/x",
        "/",
        "a\0",
        "x.forebay-y",
    ):
        with pytest.raises(BadOrder, match="output") as told:
            open_storage(uri)
        assert "secret" not in str(told.value)
