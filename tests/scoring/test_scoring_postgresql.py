"""`forebay score` into a table of PostgreSQL, as it is called."""

import select
from pathlib import Path

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.scoring.ground import Ground, expected, ground, table
from tests.scoring.tables import names, refused, rows

ROWS = 3000
SMALL = ("--part-rows", "1000", "--run-id", "r", "--passthrough", "id")


@pytest.fixture
def on(tmp_path: Path, postgres_url: str) -> Ground:
    return ground(tmp_path, f"{postgres_url.replace('postgres@', 'postgres:s3cret@')}#scores", rows=ROWS)


def whole(url: str) -> None:
    """Every row once, with the model's answer."""
    found = rows(url, "SELECT id, score FROM scores ORDER BY id")
    assert [n for n, _ in found] == list(range(ROWS))
    np.testing.assert_allclose(np.stack([score for _, score in found]), expected(range(ROWS)), rtol=1e-5)


def sums(url: str) -> list[tuple[str, ...]]:
    """Of the parts' bytes, as the manifest has them."""
    return rows(
        url, "SELECT p ->> 'sha256' FROM _forebay_scoring, json_array_elements(manifest -> 'parts') p ORDER BY 1"
    )


def test_every_row_is_in_the_table_once_and_a_killed_run_ends_the_same(on: Ground, postgres_url: str) -> None:
    ended = on.score(*SMALL)
    summary = ended.summary
    assert (summary["rows"], summary["rejected"], summary["parts"]) == (ROWS, 0, 3)
    assert summary["manifest"] == "_forebay_scoring"
    assert "s3cret" not in ended.said + ended.wrote + str(
        rows(postgres_url, "SELECT manifest::text FROM _forebay_scoring")
    )
    whole(postgres_url)
    assert names(postgres_url) == ["scores"]
    clean = sums(postgres_url)
    assert on.score(*SMALL).summary == {**summary, "already_published": True}, "the same again does nothing"
    with psycopg.connect(postgres_url) as connection:
        connection.execute("DROP TABLE scores, _forebay_scoring")
    for step in ("part-copied:2", "publish-entered"):
        on.killed(step, *SMALL)
        assert "scores" not in names(postgres_url), "nobody sees half an output"
    again = on.score(*SMALL)
    assert "going on: 3 of 3 parts are done" in again.said
    assert again.summary["attempts"] == 3
    whole(postgres_url)
    assert sums(postgres_url) == clean
    assert names(postgres_url) == ["scores"]


def test_another_run_overwrites_with_processes_of_its_own(on: Ground, postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE scores (id bigint PRIMARY KEY, score real[], at timestamptz DEFAULT now())")
        connection.execute("INSERT INTO scores VALUES (-1)")
    assert "a table with rows that are not of Forebay: name another output, or empty it" in refused(
        on, *SMALL, "--overwrite"
    )
    with psycopg.connect(postgres_url) as connection:
        connection.execute("DELETE FROM scores")
    on.score(*SMALL, "--overwrite", "--workers", "2")
    whole(postgres_url)
    assert rows(postgres_url, "SELECT count(at) FROM scores") == [(ROWS,)]
    assert "holds the output of run r; --overwrite replaces it" in refused(
        on, "--run-id", "other", "--passthrough", "id"
    )


def test_of_two_at_once_one_wins_and_the_other_says_who(on: Ground, postgres_url: str) -> None:
    """The first waits in the middle of its publication, for a lock that we hold on its table."""
    on.score(*SMALL)
    with (
        psycopg.connect(postgres_url) as ours,
        on.begin("--run-id", "s", "--passthrough", "id", "--overwrite") as first,
    ):
        ours.execute("LOCK TABLE scores IN SHARE MODE")
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'scores'::regclass"
        while rows(postgres_url, waiting) == [(0,)] and first.poll() is None:
            select.select([], [], [], 0.05)
        told = on.score("--run-id", "t", "--passthrough", "id", "--overwrite")
        ours.rollback()
        _, said = first.communicate(timeout=60)
    assert (first.returncode, told.code) == (0, 1), said
    assert "is at it since" in told.said
    assert "with run s: wait until it ends, or stop it" in told.said
    assert rows(postgres_url, "SELECT run_id FROM _forebay_scoring") == [("s",)]


def test_rejects_and_folders_in_an_upsert(on: Ground, postgres_url: str) -> None:
    for path in Path(on.input).iterdir():
        path.unlink()
    for day in (20, 21):
        bad = table(100)
        fifth = [None if n == day else 0.5 for n in range(100)]
        folder = Path(on.input) / f"dt=2026-11-{day}"
        folder.mkdir()
        pq.write_table(bad.set_column(6, "f5", pa.array(fifth, pa.float32())), folder / "a.parquet")
    to = Ground(on.folder, on.models, on.input, on.output.replace("#", "?mode=upsert&key=dt,id#"))
    for day in (20, 21):
        summary = to.score("--where", f"dt = '2026-11-{day}'", "--run-id", f"d{day}", "--passthrough", "id").summary
        assert (summary["rows"], summary["rejected"]) == (99, 1)
    assert rows(postgres_url, "SELECT dt, count(*) FROM scores GROUP BY dt ORDER BY dt") == [
        ("2026-11-20", 99),
        ("2026-11-21", 99),
    ]
    kept = "SELECT run_id, _forebay_row_id, columns ->> 'id' FROM scores_rejects ORDER BY 1"
    assert rows(postgres_url, kept) == [(f"d{day}", f"dt=2026-11-{day}/a.parquet:{day}", f"{day}") for day in (20, 21)]


def test_what_a_table_cannot_do_is_told(on: Ground) -> None:
    for command in (("files", on.output), ("retry-rejects", "r", "--output", on.output, "--models", str(on.models))):
        ended = on.more(*command)
        assert (ended.code, ended.said.count("\n")) == (1, 1), ended
        assert "_forebay_scoring" in ended.said or "TABLE_rejects" in ended.said
        assert "s3cret" not in ended.said
