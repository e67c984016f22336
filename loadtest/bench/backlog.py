"""What a job costs the store by how many others wait: the statements of a worker and of the API, over a growing backlog.

The backlog is written by one statement of SQL with the columns that `submit` writes, for a million rows by the front door
would take minutes; the measured jobs go through the store's own methods.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from itertools import pairwise

from msgspec import Struct

from pipelines.store.opening import open_store
from pipelines.store.sql import SqlStore
from schemas.jobs import Submission
from schemas.verdicts import Done

BATCH = 256
LEASE_S = 300.0
_INPUTS = b'{"features":[' + b",".join([b"-0.123456"] * 16) + b"]}"
_RESULT = Done(b'{"score":[0.123456]}')

_COLUMNS = (
    "id, tenant, model, version, priority, inputs, digest, size, origin, state, visible_at, submitted_at, queued_at"
)
_VALUES = """'b-' || n, 'default', 'm', '1', 5, {inputs}, {digest}, :size, 'api', 'queued', {now}, {now}, {now}"""
_SERIES = {
    "sqlite": "(WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last) SELECT n FROM s) AS s",
    "postgresql": "generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS s(n)",
}


STEPS = ("claim", "start", "record", "submit")
WARM_UP = 4
CHUNK = 100_000


class Cost(Struct):
    """Microseconds per job of each step, one value per round."""

    rows: int
    steps: dict[str, list[float]]

    def job(self) -> list[float]:
        """All that the store does for one job, round by round."""
        return [sum(values) for values in zip(*self.steps.values(), strict=True)]


def costs(urls: Sequence[str], sizes: Sequence[int], rounds: int) -> list[Cost]:
    """One store per backlog, measured in turn in every round: a machine that is slower for a while is so for all of them.
    Every batch that is claimed is recorded and as many are submitted: the backlog stays."""
    with ExitStack() as stack:
        stores = [open_store(url) for url in urls]
        for store, size in zip(stores, sizes, strict=True):
            stack.callback(store.close)
            _fill(store, size)
        measured = [Cost(size, {step: [] for step in STEPS}) for size in sizes]
        for number in range(rounds + WARM_UP):
            for store, cost in zip(stores, measured, strict=True):
                spent = _one_batch(store, number)
                for step, values in cost.steps.items() if number >= WARM_UP else ():
                    values.append(spent[step] / BATCH * 1e6)
        return measured


def _fill(store: SqlStore, rows: int) -> None:
    db = store.db
    name = db.dialect.name
    values = _VALUES.format(inputs=":inputs", digest=":digest", now="{now}")
    sql = f"INSERT INTO jobs ({_COLUMNS}) SELECT {values} FROM {_SERIES[name]}"  # noqa: S608  # constants; values are bound
    given = {"inputs": _INPUTS, "digest": sha256(_INPUTS).digest(), "size": len(_INPUTS)}
    for start in range(1, rows + 1, CHUNK):  # the store's statements end after 30 s
        end = min(rows, start + CHUNK - 1)
        db.write(partial(db.run, template=sql, first=start, last=end, **given))
    if name == "postgresql":  # what autovacuum does a minute after such a load
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE jobs")
            connection.exec_driver_sql("CHECKPOINT")
    else:
        with db.engine.connect().execution_options(forebay_reading=True) as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _one_batch(store: SqlStore, number: int) -> dict[str, float]:
    """Seconds of each step for one batch."""
    submissions = [_submission(number, n) for n in range(BATCH)]
    at = [time.perf_counter()]
    claims = store.claim_next(("m",), BATCH, LEASE_S)
    at.append(time.perf_counter())
    store.start(claims)
    at.append(time.perf_counter())
    recorded = store.record([(claim, _RESULT) for claim in claims])
    at.append(time.perf_counter())
    store.submit(submissions)
    at.append(time.perf_counter())
    assert len(recorded) == BATCH, f"recorded {len(recorded)} of {BATCH}"
    return {step: end - begin for step, (begin, end) in zip(STEPS, pairwise(at), strict=True)}


def _submission(batch: int, number: int) -> Submission:
    return Submission(f"j-{batch}-{number}", "default", "m", "1", _INPUTS, sha256(_INPUTS).digest())
