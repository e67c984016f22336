from collections.abc import Iterator
from pathlib import Path

import pytest
from service_driver import Stage
from sqlalchemy import text

from pipelines.store.opening import open_store
from pipelines.store.sql import SqlStore


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlStore]:
    opened = open_store(f"sqlite:///{tmp_path_factory.mktemp('runs')}/store.db", patience=0.1)
    yield opened
    opened.close()


@pytest.fixture
def stage(store: SqlStore, tmp_path: Path) -> Stage:
    store.db.skew = 0.0
    with store.db.engine.begin() as connection:
        connection.execute(text("DELETE FROM scoring_runs"))
    return Stage(store, str(tmp_path))
