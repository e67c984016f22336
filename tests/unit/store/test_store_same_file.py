"""A SQLite store that is deleted or replaced under a running process takes no more writes, and says so."""

from pathlib import Path

import pytest

from pipelines.store.opening import open_store
from pipelines.store.port import StoreAway
from schemas.jobs import Submission


def _submission(id: str) -> Submission:
    return Submission(id, "default", "m", "1", b"{}", id.encode())


def test_a_store_that_is_deleted_and_put_back(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(f"sqlite:///{path}", patience=0.0)
    store.submit([_submission("a")])
    path.rename(tmp_path / "aside.db")
    with pytest.raises(StoreAway, match="the file is gone: put it back"):
        store.submit([_submission("b")])
    with pytest.raises(StoreAway, match="the file is gone"):
        store.now()
    assert not path.exists(), "no empty store is made in its place"
    (tmp_path / "aside.db").rename(path)
    store.submit([_submission("c")])
    assert set(store.read(None, ["a", "b", "c"])) == {"a", "c"}
    store.close()


def test_another_store_in_its_place_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(f"sqlite:///{path}", patience=0.0)
    store.submit([_submission("a")])
    (claim,) = store.claim_next(["m"], 1, 30.0)
    path.rename(tmp_path / "old.db")
    other = open_store(f"sqlite:///{path}", patience=0.0)
    other.submit([_submission("x")])
    (theirs,) = other.claim_next(["m"], 1, 30.0)
    assert (theirs.seq, theirs.fence) == (claim.seq, claim.fence), "the numbers mean another job here"
    with pytest.raises(StoreAway, match="another file took its place"):
        store.start([claim])
    store.close()
    other.close()
