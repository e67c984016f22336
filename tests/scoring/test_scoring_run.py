"""`forebay score` as it is called, on a folder."""

import json
import os
import pty
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.e2e.processes import ROOT, clean_environment
from tests.scoring.ground import Ground, contents, expected, ground, scored, table, write_input

ROWS, PARTS = 5000, 4
SMALL = ("--part-rows", "1000", "--run-id", "r", "--passthrough", "id")


@pytest.fixture
def on(tmp_path: Path) -> Ground:
    return ground(tmp_path, rows=ROWS)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run that nothing happens to writes."""
    on = ground(tmp_path_factory.mktemp("clean"), rows=ROWS)
    assert on.score(*SMALL).code == 0
    return contents(Path(on.output))


def test_every_row_is_scored_once_and_in_order(on: Ground) -> None:
    summary = on.score(*SMALL).summary
    assert (summary["rows"], summary["rejected"], summary["attempts"]) == (ROWS, 0, 1)
    found = scored(Path(on.output)).sort_by("id")
    assert found.column("id").to_pylist() == list(range(ROWS))
    answers = np.stack(found.column("score").to_pylist())
    np.testing.assert_allclose(answers, expected(range(ROWS)), rtol=1e-5)
    for part in sorted(Path(on.output).glob("*.parquet")):
        ids = pq.read_table(part, columns=["id"]).column("id").to_pylist()
        assert ids == sorted(ids)


def test_the_manifest_names_every_file_and_success_is_there(on: Ground) -> None:
    on.score(*SMALL)
    manifest = json.loads((Path(on.output) / "_forebay" / "r.json").read_text())
    assert {part["path"] for part in manifest["parts"]} == set(contents(Path(on.output)))
    assert sum(part["rows"] for part in manifest["parts"]) == manifest["rows"] == ROWS
    assert all(file["tag"].startswith("xxh128:") for file in manifest["inputs"])
    assert (Path(on.output) / "_SUCCESS").exists()


def test_the_same_run_again_does_nothing(on: Ground) -> None:
    first = on.score(*SMALL).summary
    before = {path: path.stat().st_mtime_ns for path in Path(on.output).rglob("*")}
    assert first.pop("already_published") is False
    assert on.score(*SMALL).summary == {**first, "already_published": True}
    assert "published already, nothing was done: 5,000 rows" in on.told(*SMALL)
    assert {path: path.stat().st_mtime_ns for path in Path(on.output).rglob("*")} == before


def test_another_run_is_refused_and_overwrites_whole(on: Ground) -> None:
    on.score(*SMALL)
    refused = on.score("--run-id", "other", "--passthrough", "id")
    assert (refused.code, "holds the output of run r" in refused.said) == (1, True)
    assert len(contents(Path(on.output))) == PARTS
    on.score("--run-id", "other", "--passthrough", "id", "--overwrite")
    assert set(contents(Path(on.output))) == {"part-00000-other.parquet"}
    assert scored(Path(on.output)).num_rows == ROWS


def test_a_run_that_is_asked_for_otherwise_is_refused(on: Ground) -> None:
    on.killed("part-recorded:2", *SMALL)
    refused = on.score(*SMALL, "--where", "id < 10")
    assert refused.code == 1
    assert "begun with another where (None, now 'id < 10')" in refused.said


def test_where_and_hive_partitions(tmp_path: Path) -> None:
    on = ground(tmp_path, rows=10)
    for day in (20, 21):
        write_input(tmp_path / "in" / f"dt=2026-11-{day}", rows=1000, files=2)
    for path in (tmp_path / "in").glob("*.parquet"):
        path.unlink()
    where = ("--where", "dt = '2026-11-21' AND id BETWEEN 100 AND 899", "--passthrough", "id,dt")
    assert on.score(*where).summary["rows"] == 800
    assert {path.name for path in Path(on.output).iterdir() if path.is_dir()} == {"dt=2026-11-21", "_forebay"}
    found = pq.read_table(next((Path(on.output) / "dt=2026-11-21").glob("*.parquet")))
    assert found.column("id").to_pylist() == list(range(100, 900))


def test_bytes_do_not_depend_on_the_engine(on: Ground, clean: dict[str, bytes]) -> None:
    on.score(*SMALL, "--workers", "2")
    assert contents(Path(on.output)) == clean


@pytest.mark.parametrize(
    "step",
    ["planned", "part-written:3", "part-scored:2", "part-recorded:3", "before-publish", "publish-assembled", "publish-swapped",
     "published"],
)  # fmt: skip
def test_killed_anywhere_and_called_again_it_ends_with_the_same_bytes(
    step: str, on: Ground, clean: dict[str, bytes], tmp_path: Path
) -> None:
    on.killed(step, *SMALL)
    published = step in ("publish-swapped", "published")
    assert Path(on.output).exists() == published, "nobody sees half an output"
    again = on.score(*SMALL)
    assert again.summary["rows"] == ROWS
    assert contents(Path(on.output)) == clean
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out.forebay-r")]
    if step == "part-recorded:3":
        assert "going on: 3 of 4 parts are done" in again.said


def test_killed_while_it_overwrites_the_old_or_the_new_is_there(on: Ground) -> None:
    on.score("--run-id", "old", "--passthrough", "id")
    old = contents(Path(on.output))
    on.killed("publish-assembled", *SMALL, "--overwrite")
    assert contents(Path(on.output)) == old
    on.score(*SMALL, "--overwrite")
    assert len(contents(Path(on.output))) == PARTS


def test_of_two_at_once_one_wins_and_the_other_says_who(on: Ground) -> None:
    with on.begin(*SMALL) as first:
        while not list(on.folder.glob(".out.forebay-r*/**/plan.json")) and first.poll() is None:
            time.sleep(0.005)
        first.send_signal(signal.SIGSTOP)
        second = on.score(*SMALL)
        first.send_signal(signal.SIGCONT)
        wrote, said = first.communicate(timeout=60)
    assert first.returncode == 0, said
    assert second.code == 1
    assert "process" in second.said
    assert second.said.count("\n") == 1, second.said
    assert json.loads(wrote)["rows"] == ROWS


def test_inputs_that_changed_in_between_are_named(on: Ground) -> None:
    on.killed("part-recorded:2", *SMALL)
    pq.write_table(table(1667, 7), Path(on.input) / "in-0.parquet", row_group_size=700)
    refused = on.score(*SMALL)
    assert refused.code == 1
    assert "in-0.parquet" in refused.said
    assert "in-1.parquet" not in refused.said


def test_a_file_that_was_written_again_with_the_same_bytes_is_the_same(on: Ground) -> None:
    on.killed("before-publish", *SMALL)
    (Path(on.input) / "in-0.parquet").touch()
    assert on.score(*SMALL).summary["rows"] == ROWS


def test_on_a_terminal_it_shows_a_bar(on: Ground) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        on.command(), stdout=subprocess.DEVNULL, stderr=theirs, env=clean_environment(), cwd=ROOT
    ) as run:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the terminal is gone when the process is
            while some := os.read(ours, 4096):
                shown += some
        os.close(ours)
    assert run.returncode == 0, shown.decode()
    assert b"rows" in shown
    assert b"Traceback" not in shown
