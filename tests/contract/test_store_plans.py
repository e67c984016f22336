"""What is asked again and again goes by an index, so that it costs the same however many rows there are."""

import re
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from pipelines.store import claiming, reading, sending
from pipelines.store.dialect import pack
from pipelines.store.opening import open_store
from schemas.jobs import Submission

VALUES = {"most": 10, "resend_after": 1.0, "newest_claimed": 1.0, "last_claim": 1.0, "skew": 0.0}


NAMED = {
    "stamp": (sending._STAMP, sending._STAMP_FIELDS, lambda n: (f"j{n}", 0, 0)),
    "unhold": (sending._UNHOLD, sending._UNHOLD_FIELDS, lambda n: (f"j{n}", 0)),
    "claim": (claiming._CLAIM_NAMED, claiming._NAMED, lambda n: (f"j{n}",)),
    "start": (claiming._START, claiming._HELD, lambda n: (n, 1, 0)),
    "extend": (claiming._EXTEND, claiming._HELD, lambda n: (n, 1, 0)),
    "cancel": (reading._CANCEL, reading._ID, lambda n: (f"j{n}",)),
}


@pytest.mark.parametrize("name", NAMED)
def test_what_names_its_rows_reads_no_others_on_a_postgres_that_knows_nothing_of_the_table(
    name: str, postgres_url: str
) -> None:
    """A backlog that came within a minute: no statistics yet."""
    template, fields, row = NAMED[name]
    store = open_store(postgres_url, broker=True)
    store.submit([Submission(f"j{n}", "default", "m", "1", b"{}", b"%d" % n) for n in range(3000)])
    sql = store.db.dialect.expand(template, fields)
    values = {
        "rows": pack([row(n) for n in range(1, 300)]), "models": pack(["m"]), "lease": 30.0,
        "tenant": None, "skew": 0.0,
    }  # fmt: skip

    def plan(connection: Connection) -> str:
        wanted = {given: value for given, value in values.items() if f":{given}" in sql}
        return "\n".join(line[0] for line in connection.execute(text(f"EXPLAIN ANALYZE {sql}"), wanted))

    found = store.db.write(plan)
    store.close()
    compared = [int(rows) for rows in re.findall(r"Rows Removed by Join Filter: (\d+)", found)]
    assert sum(compared) < 10_000, found


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
