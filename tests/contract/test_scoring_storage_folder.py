"""What only a folder can meet: full disks, permissions, links, two processes, a file system that cannot exchange."""

import errno
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.scoring.faults import LockLost, RunBusy, StorageFault
from pipelines.scoring.storage.local.exchange import exchange
from pipelines.scoring.storage.local.storage import FolderStorage
from pipelines.scoring.storage.port import Failpoint, nothing
from tests.contract.scoring_attempts import attempt, contents, make, manifest, write
from tests.contract.scoring_outputs import Killed, killed_at

ROOT = Path(__file__).parents[2]


def told(fault: pytest.ExceptionInfo[StorageFault], where: Path) -> None:
    """One line, with the path."""
    assert "\n" not in str(fault.value)
    assert str(where) in str(fault.value)


def nobody(line: str) -> None:
    pytest.fail(f"waited: {line}")


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(mounted: Path) -> None:
    storage, out = FolderStorage(mounted / "out"), mounted / "out"
    held = storage.lock("r1", "me", nobody)
    first = write(storage, "r1", "a.parquet", b"x" * 1000)
    part = storage.run("r1")[1].begin("b.parquet")
    with pytest.raises(StorageFault, match="no space is left there: free some") as fault:  # noqa: PT012
        part.write(b"x" * (300 << 10))
        part.finish(1)
    told(fault, mounted)
    part.discard()
    records, parts = storage.run("r1")
    filler = mounted / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * (300 << 10))
    with pytest.raises(StorageFault, match="no space is left"):
        records.put("parts/0.json", b"x" * (8 << 10))
    assert records.get("parts/0.json") is None
    with pytest.raises(StorageFault, match="no space is left"):
        storage.publish(held, manifest("r1", [first]), [first], (), overwrite=False)
    assert not out.exists()
    filler.unlink()
    assert parts.holds(first)
    storage.publish(held, manifest("r1", [first]), [first], (), overwrite=False)
    assert (out / "a.parquet").stat().st_size == 1000
    assert (out / "_SUCCESS").exists()
    held.release()


def test_a_mount_point_is_told(mounted: Path) -> None:
    with pytest.raises(StorageFault, match=r"mount point.*a folder below it") as fault:
        FolderStorage(mounted).lock("r1", "me", nobody)
    told(fault, mounted)


def test_a_read_only_file_system_is_told(mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    for out in (mounted / "out", mounted / "new" / "out"):
        with pytest.raises(StorageFault, match="read-only: name another output") as fault:
            FolderStorage(out).lock("r1", "me", nobody)
        told(fault, mounted)


@pytest.fixture
def forbidden() -> Iterator[Path]:
    """A folder that this process may read and not write."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        me = os.geteuid()
        if me == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(me)
            folder.chmod(0o755)


def test_a_lack_of_permission_is_told(forbidden: Path) -> None:
    with pytest.raises(StorageFault, match="no permission: let this user") as fault:
        FolderStorage(forbidden / "out").lock("r1", "me", nobody)
    told(fault, forbidden)


@pytest.mark.parametrize("out", ["file", "file/out", "file/more/out"])
def test_a_file_in_the_way_is_told(tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFault, match="file") as fault:
        FolderStorage(tmp_path / out).lock("r1", "me", nobody)
    told(fault, tmp_path / "file")


def test_a_link_is_told(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to("real")
    with pytest.raises(StorageFault, match=rf"symbolic link: give .*{tmp_path}/real") as fault:
        FolderStorage(tmp_path / "out").lock("r1", "me", nobody)
    told(fault, tmp_path / "out")
    attempt(FolderStorage(tmp_path / "real"), "r1")
    assert FolderStorage(tmp_path / "out").current() is not None  # readers may go by it


def test_an_empty_folder_is_fine_and_its_mode_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    out.chmod(0o2770)
    for run_id in ("r1", "r2"):
        attempt(FolderStorage(out), run_id, overwrite=True)
        assert out.stat().st_mode & 0o7777 == 0o2770


def cannot(one: Path, other: Path) -> bool:
    return False


@pytest.mark.parametrize("then", ["r2", "r3"])
@pytest.mark.parametrize("step", ["publish-moved", "publish-swapped", "publish-tidied"])
def test_where_folders_cannot_be_exchanged(tmp_path: Path, step: str, then: str) -> None:
    def storage(failpoint: Failpoint = nothing) -> FolderStorage:
        return FolderStorage(tmp_path / "out", failpoint, exchange=cannot)

    attempt(storage(), "r1")
    with pytest.raises(Killed):
        attempt(storage(killed_at(step)), "r2", overwrite=True, holding=(held := []).append)
    held[0].release()
    again = storage()
    held[0] = again.lock("r1", "me", nobody)
    current = again.current()
    assert current is not None
    assert current.order.run_id == ("r1" if step == "publish-moved" else "r2")
    held[0].release()
    attempt(storage(), then, overwrite=True)
    storage().forget("r2")
    assert {path.name for path in (tmp_path / "out").rglob("*.parquet")} == {Path(path).name for path in contents(then)}
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.forebay-lock"}


def test_folders_are_exchanged_here(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name / name).mkdir(parents=True)
    if not exchange(tmp_path / "one", tmp_path / "other"):
        pytest.skip("this file system cannot")
    assert (tmp_path / "one" / "other").is_dir()
    with pytest.raises(OSError) as fault:
        exchange(tmp_path / "one", tmp_path / "gone")
    assert fault.value.errno == errno.ENOENT


def test_what_is_kept_is_copied_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    storage = FolderStorage(tmp_path / "out")
    attempt(storage, "r1")
    old = storage.current()
    assert old is not None
    held = storage.lock("r2", "me", nobody)
    storage.publish(held, manifest("r2", old.parts), [], [part.path for part in old.parts], overwrite=True)
    storage.forget("r2")
    held.release()
    assert all((tmp_path / "out" / path).read_bytes() == data for path, data in contents("r1").items())


def test_what_was_begun_and_never_recorded_is_not_published(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "out")
    held = storage.lock("r1", "me", nobody)
    write(storage, "r1", "other/part.parquet", b"x")
    unfinished = storage.run("r1")[1].begin("half.parquet")
    files = make(storage, held, "r1", contents("r1", 1))
    storage.publish(held, manifest("r1", files), files, (), overwrite=False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"_SUCCESS", "_forebay", "dt=2026-11-20"}
    unfinished.discard()
    held.release()


def test_readers_see_the_old_or_the_new(tmp_path: Path) -> None:
    """At each step of each publication."""
    out = tmp_path / "out"
    seen: list[set[str]] = []

    def look(step: str) -> None:
        if step.startswith("publish"):
            seen.append({path.name for path in out.rglob("*.parquet")})

    for run_id in ("r1", "r2", "r3"):
        attempt(FolderStorage(out, look), run_id, overwrite=True)
    whole = [{Path(path).name for path in contents(run_id)} for run_id in ("r1", "r2", "r3")]
    assert all(each in [set(), *whole] for each in seen)
    assert [each for n, each in enumerate(seen) if n == 0 or each != seen[n - 1]] == [set(), *whole]


def test_a_lock_file_that_was_removed_is_noticed(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path / "out")
    attempt(storage, "r1")
    first = storage.lock("r2", "me", nobody)
    (tmp_path / ".out.forebay-lock").unlink()
    second = storage.lock("r2", "somebody", nobody)
    with pytest.raises(LockLost, match="removed or replaced"):
        first.check()
    assert second.fence > 1  # above that of the output
    first.release()
    second.check()
    second.release()


HOLD = """
import sys
from pathlib import Path
from pipelines.scoring.storage.local.storage import FolderStorage
held = FolderStorage(Path(sys.argv[1])).lock("r1", "other process", print)
print(held.fence, flush=True)
sys.stdin.read()
"""


def test_of_two_processes_one_is_at_it_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "out")]
    other = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout is not None
        assert select.select([other.stdout], [], [], 30.0)[0]
        fence = int(other.stdout.readline())
        storage = FolderStorage(tmp_path / "out")
        with pytest.raises(RunBusy, match=r"other process is at it since .* with run r1"):
            storage.lock("r1", "me", nobody)
        other.kill()
        other.wait()
        held = storage.lock("r1", "me", nobody)
        assert held.fence == fence + 1
        held.release()
