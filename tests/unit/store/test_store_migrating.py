"""Levels: the migrations make what the tables say, a later release's store still serves this code, and one that shuts it
out says so."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from pipelines.store.database import Database
from pipelines.store.migrating import check_level, upgrade
from pipelines.store.opening import Migrate, open_database, open_store
from pipelines.store.port import StoreAway
from schemas.jobs import Accepted, JobView, Submission
from schemas.reasons import Reason
from schemas.states import State
from schemas.tables import LEVEL, metadata
from schemas.verdicts import Done, Retry


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def db(url: str) -> Iterator[Database]:
    opened = open_database(url)
    yield opened
    opened.close()


def migrated_by_a_later_release(db: Database, oldest_code: int) -> None:
    """What the next revision, of a later release, would do: migrations only add."""

    def work(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE jobs ADD COLUMN shard VARCHAR(16)"))
        connection.execute(text("CREATE TABLE webhooks (seq BIGINT PRIMARY KEY)"))
        connection.execute(
            text("UPDATE store_level SET level = :level, oldest_code = :oldest"),
            {"level": LEVEL + 1, "oldest": oldest_code},
        )
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{LEVEL + 1:04}'"))

    db.write(work)


def test_the_migrations_make_what_the_tables_say(db: Database) -> None:
    assert upgrade(db) == LEVEL
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_upgrading_again_changes_nothing(db: Database) -> None:
    assert [upgrade(db), upgrade(db), check_level(db)] == [LEVEL] * 3


def test_many_processes_may_start_together(url: str) -> None:
    def start(_: int) -> int:
        db = open_database(url)
        try:
            return upgrade(db)
        finally:
            db.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [LEVEL] * 4


def test_this_code_works_on_a_store_that_a_later_release_has_migrated(db: Database, url: str) -> None:
    upgrade(db)
    migrated_by_a_later_release(db, oldest_code=LEVEL)
    assert upgrade(db) == LEVEL + 1
    assert inspect(db.engine).has_table("webhooks"), "nothing is taken back"
    store = open_store(url)
    try:
        given = [Submission(f"job-{n}", "default", "m", "1", b"{}", hashlib.sha256(b"%d" % n).digest()) for n in (1, 2)]
        assert all(isinstance(outcome, Accepted) for outcome in store.submit(given))
        claims = store.claim_next(["m"], 10, 30.0)
        assert len(store.start(claims)) == len(store.extend(claims, 30.0)) == 2
        verdicts = [(claims[0], Done(b"{}")), (claims[1], Retry(Reason.MODEL_ERROR, "boom", 9.0))]
        assert sorted(store.record(verdicts)) == sorted(claim.seq for claim in claims)
        views = store.read(None, ["job-1", "job-2"]).values()
        assert {view.state for view in views if isinstance(view, JobView)} == {State.SUCCEEDED, State.QUEUED}
        assert store.sweep(60.0, 60.0) is not None
    finally:
        store.close()


@pytest.mark.parametrize("migrate", get_args(Migrate))
def test_a_later_release_may_shut_this_code_out(db: Database, url: str, migrate: Migrate) -> None:
    upgrade(db)
    migrated_by_a_later_release(db, oldest_code=LEVEL + 1)
    with pytest.raises(StoreAway) as away:
        open_store(url, migrate=migrate)
    told = str(away.value)
    assert told.endswith(
        f"a newer release has migrated it to level {LEVEL + 1} and shuts out this one (level {LEVEL}): upgrade forebay"
    )
    assert "\n" not in told


def test_an_older_store_is_told_by_who_may_not_migrate(db: Database) -> None:
    upgrade(db)
    db.write(lambda connection: connection.execute(text("UPDATE store_level SET level = :level"), {"level": LEVEL - 1}))
    with pytest.raises(StoreAway, match=f"at level {LEVEL - 1}, this release needs {LEVEL}: run `forebay db upgrade`"):
        check_level(db)
