"""The same call again: after its end, with an input that changed, and with one that changes while it runs."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.scoring.faults import BadOrder, InputChanged
from tests.scoring.ground import scored, table
from tests.scoring.here import Here, here

OTHER_DAY = {"where": "dt = '2026-11-20'"}


@pytest.fixture
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.chdir(tmp_path)
    on = here(tmp_path)
    add(on, "dt=2026-11-20/a.parquet")
    return on


def add(on: Here, name: str, rows: int = 20, first: int = 0) -> None:
    path = on.input / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table(rows, first), path)


def test_an_input_that_is_what_it_was_is_not_scored_again(on: Here) -> None:
    first = on.score()
    assert on.scored
    assert on.score() == first
    assert on.score(overwrite=True) == first
    assert not on.scored


def test_a_changed_input_is_refused_with_what_changed_and_what_to_do(on: Here) -> None:
    add(on, "dt=2026-11-20/b.parquet")
    on.score()
    assert on.scored
    (on.input / "dt=2026-11-20/b.parquet").unlink()
    add(on, "dt=2026-11-20/a.parquet", 21)
    add(on, "dt=2026-11-21/c.parquet")
    with pytest.raises(InputChanged) as told:
        on.score()
    assert "a.parquet has" in str(told.value)
    assert "b.parquet is gone" in str(told.value)
    assert "c.parquet is new" in str(told.value)
    assert "--overwrite" in str(told.value)
    assert "run-id" not in str(told.value)
    assert not on.scored


def test_overwriting_numbers_the_runs_of_an_order(on: Here) -> None:
    first = on.score().order.run_id
    for number, day in ((2, 21), (3, 22)):
        add(on, f"dt=2026-11-{day}/a.parquet")
        made = on.score(overwrite=True)
        assert made.order.run_id == f"{first}-{number}"
        assert all(f"-{number}.parquet" in part.path for part in made.parts)
        assert scored(on.output).num_rows == 20 * number
        on.scored  # noqa: B018  # forgets
        assert on.score() == on.score(overwrite=True) == made
        assert not on.scored


def test_a_killed_successor_is_gone_on_with(on: Here) -> None:
    first = on.score().order.run_id
    add(on, "dt=2026-11-21/a.parquet")
    with pytest.raises(Exception, match="killed"):
        on.score(overwrite=True, at="before-publish", then=_killed)
    assert scored(on.output).num_rows == 20
    assert (on.score(overwrite=True).order.run_id, scored(on.output).num_rows) == (f"{first}-2", 40)


def test_a_named_run_is_never_scored_twice(on: Here) -> None:
    on.score(run_id="r")
    add(on, "dt=2026-11-21/a.parquet")
    for overwrite in (False, True):
        with pytest.raises(InputChanged, match=r"another --run-id and --overwrite"):
            on.score(run_id="r", overwrite=overwrite)
    assert scored(on.output).num_rows == 20


def test_files_that_come_while_it_runs_are_refused_by_name(on: Here) -> None:
    with pytest.raises(InputChanged, match=r"late\.parquet is new"):
        on.score(run_id="r", at="part-recorded", then=lambda: add(on, "dt=2026-11-20/late.parquet"))
    with pytest.raises(InputChanged, match=r"late\.parquet is new"):
        on.score(run_id="r")
    assert not on.output.exists()


def test_what_happens_in_folders_that_are_ruled_out_is_nobodys_business(on: Here) -> None:
    def tomorrow() -> None:
        add(on, "dt=2026-11-21/late.parquet")
        (on.input / "dt=2026-11-19/old.parquet").unlink()

    add(on, "dt=2026-11-19/old.parquet")
    made = on.score(**OTHER_DAY, at="part-recorded", then=tomorrow)
    assert [file.path for file in made.inputs] == ["dt=2026-11-20/a.parquet"]
    assert on.scored
    assert on.score(**OTHER_DAY) == made
    assert not on.scored


def test_files_in_folders_that_are_ruled_out_are_not_even_opened(on: Here) -> None:
    broken = on.input / "dt=2026-11-21/broken.parquet"
    broken.parent.mkdir()
    broken.write_bytes(b"not Parquet")
    assert on.score(**OTHER_DAY).rows == 20


def test_no_folder_left_is_a_valid_empty_output_with_its_columns(on: Here) -> None:
    made = on.score(where="dt = '2026-11-29'", passthrough=("id", "dt"))
    assert (made.rows, [column.type for column in made.schema[:2]]) == (0, ["int64", "string"])
    add(on, "dt=2026-11-10/a.parquet")
    assert on.score(where="dt = '2026-11-29'", passthrough=("id", "dt")) == made
    add(on, "dt=2026-11-29/a.parquet")
    with pytest.raises(InputChanged, match=r"dt=2026-11-29/a\.parquet is new"):
        on.score(where="dt = '2026-11-29'", passthrough=("id", "dt"))


def test_a_file_that_is_passed_over_is_not_new(on: Here) -> None:
    (on.input / "bad.parquet").write_bytes(b"not Parquet")
    made = on.score(skip_corrupt=True)
    assert on.score(skip_corrupt=True) == made


def test_another_run_is_told_of(on: Here) -> None:
    on.score(run_id="r")
    with pytest.raises(BadOrder, match="holds the output of run r; --overwrite replaces it"):
        on.score()


def _killed() -> None:
    raise RuntimeError("killed")
