"""Batches of any size in one statement: what goes in as rows comes out as it was, on both databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.store.database import Database
from pipelines.store.dialect import POSTGRES, SQLITE, Fields, pack
from pipelines.store.opening import open_database

FIELDS: Fields = (("n", "int"), ("x", "float"), ("t", "text"), ("b", "bytes"))
# PostgreSQL's text holds no U+0000; what may hold one is JSON, where it is written as an escape.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
rows = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | texts,
    st.none() | texts,
)


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    sqlite = request.param == "sqlite"
    opened = open_database(f"sqlite:///{tmp_path}/store.db" if sqlite else request.getfixturevalue("postgres_url"))
    yield opened
    opened.close()


def echoed(db: Database, given_rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    found = db.read(lambda c: db.run(c, "SELECT n, x, t, b FROM {rows}", FIELDS, rows=pack(given_rows)).all())
    return [(n, x, t, None if b is None else bytes(b).decode()) for n, x, t, b in found]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(given_rows=st.lists(rows, max_size=5))
def test_rows_come_out_as_they_went_in(db: Database, given_rows: list[tuple[Any, ...]]) -> None:
    assert echoed(db, given_rows) == given_rows


def test_the_clock_is_moved_by_its_skew(db: Database) -> None:
    def now() -> float:
        return float(db.read(lambda connection: db.run(connection, "SELECT {now}").scalar_one()))

    before = now()
    db.skew += 1000.0
    assert 1000.0 <= now() - before < 1060.0


@pytest.mark.parametrize("dialect", [SQLITE, POSTGRES], ids=lambda dialect: dialect.name)
def test_every_placeholder_is_filled(dialect: Any) -> None:
    sql = dialect.expand("{now} {rows} {models} {for_update} {skip_locked} {bytes:v.t}", FIELDS)
    assert "{" not in sql
    assert "v.t" in sql
