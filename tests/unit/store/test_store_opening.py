"""Opening a store: what is wrong with it is told in one line, never with a password."""

from pathlib import Path

import pytest

from pipelines.store.database import Database
from pipelines.store.migrating import upgrade
from pipelines.store.opening import Migrate, open_database, open_store, parse
from pipelines.store.port import StoreAway
from schemas.tables import LEVEL


def refusal(url: str, migrate: Migrate = "always") -> str:
    with pytest.raises(StoreAway) as away:
        open_store(url, migrate=migrate, patience=0.0).close()
    told = str(away.value)
    assert told.startswith("store")
    assert "\n" not in told
    assert "secret" not in told
    return told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "expected sqlite:///path/to/file.db or postgresql://"),
        ("forebay.db", "expected sqlite:///"),
        ("mysql://u:secret@h/d", "'mysql' is not supported"),
        ("postgresql+asyncpg://u:secret@h/d", "'postgresql+asyncpg' is not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite://host/x", "no host, user or options"),
        ("sqlite://u:secret@/x", "no host, user or options"),
        ("sqlite:///x?mode=ro", "no host, user or options"),
        ("sqlite:///a%00b", "U+0000"),
        ("postgresql://h/a%00b", "U+0000"),
        ("postgresql://u:secret@h:port/d", "expected sqlite:///"),
    ],
)
def test_a_url_that_names_no_store(url: str, told: str) -> None:
    assert told in refusal(url)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_uses_psycopg(scheme: str) -> None:
    if scheme == "postgres":  # SQLAlchemy has no such dialect; ours is named after parsing
        assert parse("postgres://h/d").drivername == "postgresql+psycopg"
    assert parse(f"{scheme}://h/d").drivername == "postgresql+psycopg"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot make the folder" in refusal(f"sqlite:///{tmp_path}/file/below/store.db")


def test_what_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"not a database, though it is long enough to be looked at" * 99)
    assert "not a database" in refusal(f"sqlite:///{tmp_path}/store.db")
    (tmp_path / "folder.db").mkdir()
    assert "unable to open" in refusal(f"sqlite:///{tmp_path}/folder.db")


def test_a_server_that_is_not_there() -> None:
    assert "postgresql+psycopg://u:***@127.0.0.1:1/d" in refusal("postgresql://u:secret@127.0.0.1:1/d")


def test_a_store_that_was_never_made_is_not_made_by_looking(tmp_path: Path) -> None:
    assert "run `forebay db upgrade`" in refusal(f"sqlite:///{tmp_path}/store.db", migrate="never")


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/a/b/store.db")
    assert store.now() > 1e9
    store.close()
    assert opened_level(open_database(f"sqlite:///{tmp_path}/a/b/store.db")) == LEVEL


def opened_level(db: Database) -> int:
    try:
        return upgrade(db)
    finally:
        db.close()
