"""What is asked again and again goes by an index, so that it costs the same however many rows there are."""

from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from pipelines.store import sending
from pipelines.store.opening import open_store

VALUES = {"most": 10, "resend_after": 1.0, "newest_claimed": 1.0, "last_claim": 1.0, "skew": 0.0}


@pytest.mark.parametrize("statement", ["_PICK", "_ANY", "_CLAIMED"])
def test_a_sweep_never_reads_all_rows(statement: str, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db", broker=True)
    asked = store.db.dialect.expand(getattr(sending, statement))

    def plan(connection: Connection) -> list[str]:
        wanted = {name: value for name, value in VALUES.items() if f":{name}" in asked}
        return [row[3] for row in connection.execute(text(f"EXPLAIN QUERY PLAN {asked}"), wanted)]

    steps = store.db.read(plan)
    store.close()
    assert any("INDEX ix_jobs_" in step for step in steps)
    assert "SCAN jobs" not in steps
