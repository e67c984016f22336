"""What only a table can meet: readers in the middle of a transaction, types, keys, what people made on it, cut connections."""

import contextlib
import decimal
import socket
import threading
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.scoring.faults import (
    BadInput,
    BadOrder,
    LockLost,
    OtherRun,
    RunBusy,
    ScoreFault,
    SharedOutput,
    StorageFault,
)
from pipelines.scoring.storage.lock import Times
from pipelines.scoring.storage.opening import open_storage
from pipelines.scoring.storage.port import Failpoint, nothing
from pipelines.scoring.storage.postgres import address
from pipelines.scoring.storage.postgres.storage import TableStorage
from tests.contract.scoring_attempts import attempt, make, manifest
from tests.contract.scoring_outputs import Killed, killed_at

ROOT = Path(__file__).parents[2]
UPSERT = "?mode=upsert&key=id"


def parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def scores(run_id: str, parts: int = 2, rows: int = 3) -> dict[str, bytes]:
    """By path. Row n has the id n."""
    made = {}
    for part in range(parts):
        ids = list(range(part * rows, (part + 1) * rows))
        table = pa.table({"id": ids, "score": pa.array([n / 2 for n in ids], pa.float32()), "run": [run_id] * rows})
        made[f"part-{part}-{run_id}.parquet"] = parquet(table)
    return made


class Place:
    """A database, and attempts at a table of it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def open(self, failpoint: Failpoint = nothing, query: str = "", name: str = "scores", **given: Any) -> TableStorage:
        return TableStorage(address.parse(f"{self.url}{query}#{name}"), failpoint, **given)

    def attempt(
        self, run_id: str, wanted: dict[str, bytes] | None = None, overwrite: bool = False, query: str = "",
        failpoint: Failpoint = nothing, rows: int = 3,
    ) -> None:  # fmt: skip
        """With the rows of each part as they are in its file."""
        held: list[Any] = []
        storage = self.open(failpoint, query)
        try:
            attempt(_Counting(storage), run_id, overwrite, wanted or scores(run_id), holding=held.append)  # type: ignore[arg-type]
        finally:
            for each in held:
                each.release()
            storage.close()

    def rows(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement, values).fetchall()

    def do(self, statement: LiteralString) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement)

    def runs(self) -> set[str]:
        return {run for (run,) in self.rows("SELECT DISTINCT run FROM scores")}

    def left(self) -> list[str]:
        """Of unfinished runs."""
        staged = self.rows("SELECT tablename FROM pg_tables WHERE tablename ~ '_forebay_[0-9a-f]{24}'")
        records = self.rows(
            "SELECT name FROM _forebay_scoring_records UNION ALL SELECT path FROM _forebay_scoring_parts"
        )
        return [name for (name,) in (*staged, *records)]


class _Counting:
    """Storage whose parts say how many rows they hold, where the suite's say how many bytes."""

    def __init__(self, storage: TableStorage) -> None:
        self._storage = storage

    def run(self, run_id: str) -> tuple[Any, Any]:
        records, parts = self._storage.run(run_id)
        return records, _CountingParts(parts)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


class _CountingParts:
    def __init__(self, parts: Any) -> None:
        self.holds = parts.holds
        self._parts = parts

    def begin(self, path: str) -> Any:
        part = self._parts.begin(path)
        finish = part.finish
        part.finish = lambda rows: finish(pq.read_metadata(part._spool).num_rows)
        return part


@pytest.fixture
def place(postgres_url: str) -> Place:
    return Place(postgres_url)


def test_a_run_is_seen_when_it_is_published_and_not_before(place: Place) -> None:
    seen: list[bool] = []

    def look(step: str) -> None:
        seen.append(bool(place.rows("SELECT FROM pg_tables WHERE tablename = 'scores'")))

    place.attempt("r1", failpoint=look)
    assert seen == [False] * (len(seen) - 1) + [True]
    assert place.rows("SELECT id, score, run FROM scores ORDER BY id") == [(n, n / 2, "r1") for n in range(6)]
    current = place.open().current()
    assert current is not None
    assert current.order.run_id == "r1"
    assert place.rows("SELECT run_id, manifest ->> 'rows' FROM _forebay_scoring") == [("r1", "6")]
    assert place.left() == []


BEFORE = ["part-copied", "part-committed", "publish-filled", "publish-entered"]


@pytest.mark.parametrize("step", BEFORE)
def test_killed_before_it_is_decided(place: Place, step: str) -> None:
    place.attempt("r1")
    with pytest.raises(Killed):
        place.attempt("r2", overwrite=True, failpoint=killed_at(step))
    assert place.runs() == {"r1"}
    place.attempt("r2", overwrite=True)
    assert place.rows("SELECT id, run FROM scores ORDER BY id") == [(n, "r2") for n in range(6)]
    assert place.left() == []


def test_killed_after_it_is_decided(place: Place) -> None:
    with pytest.raises(Killed):
        place.attempt("r1", failpoint=killed_at("publish-committed"))
    before = place.rows("SELECT id, xmin::text FROM scores ORDER BY id")
    place.attempt("r1")
    assert place.rows("SELECT id, xmin::text FROM scores ORDER BY id") == before, "nothing was written again"
    assert place.left() == []


def test_what_is_published_is_replaced_only_when_told_to(place: Place) -> None:
    place.attempt("r1")
    with pytest.raises(OtherRun, match="r1 is published there"):
        place.attempt("r2")
    place.attempt("r2", overwrite=True)
    assert place.runs() == {"r2"}
    assert [run for (run,) in place.rows("SELECT run_id FROM _forebay_scoring")] == ["r2"]


def test_rows_of_somebody_else_are_never_replaced(place: Place) -> None:
    place.do("CREATE TABLE scores (id bigint, score real, run text, note text DEFAULT 'made')")
    place.do("INSERT INTO scores VALUES (1, 2, 'theirs')")
    for query in ("", UPSERT):
        with pytest.raises(OtherRun, match="not of Forebay"):
            place.open(query=query).current()
    with pytest.raises(OtherRun, match="not of Forebay"):
        place.attempt("r1")
    with pytest.raises(OtherRun, match="name another output, or empty it") as refused:
        place.attempt("r1", overwrite=True)
    assert "overwrite" not in str(refused.value)
    assert place.runs() == {"theirs"}
    place.do("DELETE FROM scores")
    place.attempt("r1")
    assert place.runs() == {"r1"}
    assert place.rows("SELECT DISTINCT note FROM scores") == [("made",)]


def test_an_upsert_goes_in_among_the_rows_of_others_when_told_to(place: Place) -> None:
    place.do("CREATE TABLE scores (id bigint PRIMARY KEY, score real, run text)")
    place.do("INSERT INTO scores VALUES (-1, 2, 'theirs')")
    with pytest.raises(SharedOutput, match="or --overwrite: rows with other keys"):
        place.attempt("r1", query=UPSERT)
    place.attempt("r1", overwrite=True, query=UPSERT)
    assert place.runs() == {"theirs", "r1"}


def test_a_table_that_was_dropped_is_not_there(place: Place) -> None:
    place.attempt("r1")
    place.do("DROP TABLE scores")
    assert place.open().current() is None
    place.do("CREATE TABLE scores (id bigint)")
    assert place.open().current() is None, "nobody loses what is not there"
    place.do("INSERT INTO scores VALUES (1)")
    with pytest.raises(OtherRun, match="not of Forebay"):
        place.open().current()


def test_readers_see_the_old_or_the_new_and_wait_for_nobody(place: Place) -> None:
    place.attempt("r1")
    with psycopg.connect(place.url) as old, psycopg.connect(place.url) as between:
        old.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        assert old.execute("SELECT count(*) FROM scores WHERE run = 'r1'").fetchone() == (6,)

        def look(step: str) -> None:
            if step.startswith("publish-") and step != "publish-committed":
                between.execute("SET LOCAL statement_timeout = '2s'")
                assert between.execute("SELECT DISTINCT run FROM scores").fetchall() == [("r1",)]

        place.attempt("r2", overwrite=True, failpoint=look)
        assert old.execute("SELECT DISTINCT run FROM scores").fetchall() == [("r1",)]
        assert between.execute("SELECT DISTINCT run FROM scores").fetchall() == [("r2",)]


def test_what_people_made_on_the_table_stays(place: Place) -> None:
    place.attempt("r1")
    place.do("CREATE INDEX by_score ON scores (score)")
    place.do("CREATE VIEW best AS SELECT id FROM scores WHERE score > 1")
    place.do("GRANT SELECT ON scores TO PUBLIC")
    place.attempt("r2", overwrite=True)
    assert place.rows("SELECT count(*) FROM best") == [(3,)]
    assert place.rows("SELECT indexname FROM pg_indexes WHERE tablename = 'scores'") == [("by_score",)]
    assert "=r/" in str(place.rows("SELECT relacl FROM pg_class WHERE relname = 'scores'"))


def test_rows_of_others_that_would_go_with_ours_are_safe(place: Place) -> None:
    place.do("CREATE TABLE scores (id bigint PRIMARY KEY, score real, run text)")
    place.do("CREATE TABLE notes (id bigint REFERENCES scores ON DELETE CASCADE)")
    with pytest.raises(BadOrder, match=r"would change those of notes \(foreign key notes_id_fkey\)"):
        place.attempt("r1", overwrite=True)
    place.attempt("r1", overwrite=True, query=UPSERT)
    assert place.runs() == {"r1"}


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ("CREATE TABLE scores (id bigint, score real)", 'column "run" of relation "scores" does not exist'),
        ("CREATE TABLE scores (id bigint, score jsonb, run text)", 'column "score" is of type jsonb'),
        ("CREATE VIEW scores AS SELECT 1 AS id", "it is a view: name a table"),
    ],
)
def test_a_table_that_does_not_fit_is_told_with_the_first_part(place: Place, made: LiteralString, told: str) -> None:
    place.do(made)
    with pytest.raises(BadOrder) as fault:
        place.attempt("r1", overwrite=True, failpoint=_never("publish-checked"))
    assert told in str(fault.value)
    assert "\n" not in str(fault.value)


def _never(step: str) -> Failpoint:
    def failpoint(at: str) -> None:
        assert at != step

    return failpoint


def test_rows_are_upserted_and_each_run_finds_its_own(place: Place) -> None:
    place.attempt("r1", query=UPSERT)
    assert place.open(query=UPSERT).current("r2") is None
    more = pa.table({"id": [5, 6], "score": [1.0, 1.0], "run": ["r2", "r2"]})
    place.attempt("r2", {"p.parquet": parquet(more)}, query=UPSERT)
    assert place.rows("SELECT id, run FROM scores ORDER BY id") == [
        *((n, "r1") for n in range(5)),
        (5, "r2"),
        (6, "r2"),
    ]
    first = place.open(query=UPSERT).current("r1")
    assert first is not None
    assert first.order.run_id == "r1"
    place.attempt("r1", query=UPSERT)
    assert place.rows("SELECT run FROM scores WHERE id = 5") == [("r2",)], "it was published before, and is over"
    with pytest.raises(OtherRun, match="r2 is published there"):
        place.attempt("r3")
    place.attempt("r3", overwrite=True)
    assert place.runs() == {"r3"}


def test_upserts_that_cannot_be(place: Place) -> None:
    same = parquet(pa.table({"id": [1], "run": ["r1"]}))
    with pytest.raises(BadInput, match=r"several rows of run r1 have the same key \(id\)"):
        place.attempt("r1", {"a.parquet": same, "b.parquet": same}, query=UPSERT)
    with pytest.raises(BadInput, match=r"null value in column .id."):
        place.attempt("r2", {"a.parquet": parquet(pa.table({"id": pa.array([None], pa.int64())}))}, query=UPSERT)
    with pytest.raises(BadOrder, match="key: no column 'id'; there are run"):
        place.attempt("r3", {"a.parquet": parquet(pa.table({"run": ["x"]}))}, query=UPSERT)
    assert place.rows("SELECT FROM pg_tables WHERE tablename = 'scores'") == []
    place.do("CREATE TABLE scores (id bigint, run text)")
    with pytest.raises(BadOrder, match=r"CREATE UNIQUE INDEX ON public.scores \(id\)"):
        place.attempt("r4", {"a.parquet": same}, overwrite=True, query=UPSERT)


def test_folders_are_columns(place: Place) -> None:
    def part(n: int) -> bytes:
        return parquet(pa.table({"id": [n]}))

    place.attempt("r1", {"dt=2026-11-20/hour=1/a.parquet": part(1), "dt=2026-11-21/hour=2/b.parquet": part(2)})
    assert place.rows("SELECT dt, hour, id FROM scores ORDER BY id") == [("2026-11-20", 1, 1), ("2026-11-21", 2, 2)]
    place.do("ALTER TABLE scores ALTER dt TYPE date USING dt::date, ALTER hour TYPE text")
    place.attempt("r2", {"dt=2026-11-22/hour=07/c.parquet": part(3)}, overwrite=True)
    assert place.rows("SELECT dt, hour, id FROM scores") == [(date(2026, 11, 22), "07", 3)]


NOW = datetime(2026, 11, 21, 12, 30, 15, 123456)
TYPES: list[tuple[str, pa.Array, str, list[Any]]] = [
    ("i8", pa.array([-1, None], pa.int8()), "smallint", [-1, None]),
    ("u16", pa.array([65535, None], pa.uint16()), "integer", [65535, None]),
    ("u32", pa.array([2**32 - 1, 0], pa.uint32()), "bigint", [2**32 - 1, 0]),
    ("u64", pa.array([2**64 - 1, None], pa.uint64()), "numeric", [decimal.Decimal(2**64 - 1), None]),
    ("f16", pa.array([0.5, None], pa.float16()), "real", [0.5, None]),
    ("f64", pa.array([0.1, float("-inf")]), "double precision", [0.1, float("-inf")]),
    ("b", pa.array([True, None]), "boolean", [True, None]),
    ("s", pa.array(['a\tb\n\\.\n\r"\\N,é{}', ""]), "text", ['a\tb\n\\.\n\r"\\N,é{}', ""]),
    ("dict", pa.array(["x", None]).dictionary_encode(), "text", ["x", None]),
    ("none", pa.nulls(2), "text", [None, None]),
    ("raw", pa.array([b"\0\xff\\", None]), "bytea", [b"\0\xff\\", None]),
    ("fixed", pa.array([b"ab", None], pa.binary(2)), "bytea", [b"ab", None]),
    ("ts", pa.array([NOW, None], pa.timestamp("ms")), "timestamp without time zone", [NOW.replace(microsecond=123000), None]),
    ("ns", pa.array([NOW, None], pa.timestamp("ns")), "timestamp without time zone", [NOW, None]),
    ("tz", pa.array([NOW, None], pa.timestamp("us", "America/New_York")), "timestamp with time zone",
     [NOW.replace(tzinfo=UTC), None]),
    ("d", pa.array([date(2026, 2, 28), None], pa.date64()), "date", [date(2026, 2, 28), None]),
    ("t", pa.array([time(1, 2, 3), None]), "time without time zone", [time(1, 2, 3), None]),
    ("span", pa.array([timedelta(days=1, microseconds=5), None]), "interval", [timedelta(days=1, microseconds=5), None]),
    ("dec", pa.array([decimal.Decimal("-1.50"), None], pa.decimal128(5, 2)), "numeric", [decimal.Decimal("-1.50"), None]),
    ("fs", pa.array([[1.5, None], []], pa.list_(pa.float32())), "ARRAY", [[1.5, None], []]),
    ("pair", pa.array([[1, 2], None], pa.list_(pa.int64(), 2)), "ARRAY", [[1, 2], None]),
    ("ss", pa.array([['a "b"\\,{}\n', None, "NULL"], None]), "ARRAY", [['a "b"\\,{}\n', None, "NULL"], None]),
    ("raws", pa.array([[b"\\x", b""], None]), "ARRAY", [[b"\\x", b""], None]),
    ("tss", pa.array([[NOW], None], pa.list_(pa.timestamp("us"))), "ARRAY", [[NOW], None]),
    ("m", pa.array([[[1.0, float("nan")]], None]), "jsonb", [[[1.0, "NaN"]], None]),
    ("st", pa.array([{"a": 1, "b": [NOW]}, None]), "jsonb", [{"a": 1, "b": [NOW.isoformat()]}, None]),
    ("map", pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), "jsonb", [{"k": 1}, None]),
    ("Odd \"name\"", pa.array([1, 2]), "bigint", [1, 2]),
]  # fmt: skip


def test_types(place: Place) -> None:
    table = pa.table({name: values for name, values, _, _ in TYPES})
    place.attempt("r1", {"a.parquet": parquet(table)})
    kinds = place.rows("SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'scores'")
    assert dict(kinds) == {name: kind for name, _, kind, _ in TYPES}
    found = place.rows('SELECT * FROM scores ORDER BY "Odd ""name"""')
    for place_of, (name, _, _, expected) in enumerate(TYPES):
        assert [row[place_of] for row in found] == expected, name


def test_nan_is_nan(place: Place) -> None:
    place.attempt("r1", {"a.parquet": parquet(pa.table({"x": [float("nan")], "xs": [[float("nan"), 1.0]]}))})
    assert place.rows("SELECT x = 'NaN', xs[1] = 'NaN', xs[2] = 1 FROM scores") == [(True, True, True)]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["a"] * 20_000 + ["b\0"], "column 'note': row 20,000 of a.parquet holds U+0000"),
        ([["a"], ["\0"]], "column 'note': row 1 of a.parquet holds U+0000"),
        ([{"x": "\0"}], "column 'note': row 0 of a.parquet holds U+0000"),
        ([datetime(1, 1, 1)], ""),
    ],
)
def test_what_a_column_cannot_hold_is_told(place: Place, values: list[Any], told: str) -> None:
    wanted = {"a.parquet": parquet(pa.table({"note": values}))}
    if not told:
        place.attempt("r1", wanted)
        return
    with pytest.raises(BadInput) as fault:
        place.attempt("r1", wanted)
    assert told in str(fault.value)
    assert "\n" not in str(fault.value)


def test_names_that_are_no_columns(place: Place) -> None:
    for name in ("x" * 64, "_forebay_part", ""):
        with pytest.raises(BadInput, match="expected a name of 1 to 63 bytes"):
            place.attempt("r1", {"a.parquet": parquet(pa.table({name: [1]}))})
    with pytest.raises(BadInput, match=r"no Parquet"):
        place.open().run("r1")[1].begin("a.parquet").finish(1)


def rejects(*columns: tuple[str, pa.Array]) -> bytes:
    own = {
        "_forebay_row_id": ["in.parquet:7"], "_forebay_path": ["in.parquet"], "_forebay_row": [7],
        "_forebay_reason": ["invalid_input"], "_forebay_error": ["no\0good"], "_forebay_attempts": pa.array([1], pa.int32()),
    }  # fmt: skip
    return parquet(pa.table({**own, **dict(columns)}))


def test_rejects_are_kept_with_all_their_columns(place: Place) -> None:
    odd = [("x", pa.array([float("nan")])), ("s", pa.array(["a\0"])), ("at", pa.array([NOW], pa.timestamp("ns")))]
    wanted = {**scores("r1"), "_rejects/dt=1/part-0-r1.parquet": rejects(*odd)}
    place.attempt("r1", wanted)
    kept = place.rows("SELECT * FROM scores_rejects")
    columns = {"x": "NaN", "s": "a\u2400", "at": NOW.isoformat()}
    assert kept == [("r1", "in.parquet:7", "in.parquet", 7, "invalid_input", "no\u2400good", 1, columns)]
    place.attempt("r2", overwrite=True)
    assert place.rows("SELECT * FROM scores_rejects") == []
    place.do("DROP TABLE scores_rejects")
    place.do("CREATE TABLE scores_rejects (mine int)")
    with pytest.raises(OtherRun, match="scores_rejects, a table that is not of Forebay"):
        place.attempt("r2", {**scores("r2"), "_rejects/b.parquet": rejects()})


def test_a_dead_holder_is_taken_over_when_its_connection_is_gone(place: Place) -> None:
    dead = place.open(times=Times(beat=3600.0))
    held = dead.lock("r1", "airflow@node-1", lambda line: None)
    dead.close()  # as the kernel does for a process that is killed
    told: list[str] = []
    storage = place.open()
    taken = storage.lock("r1", "me", told.append)
    assert taken.fence == held.fence + 1
    assert len(told) == 1
    taken.release()
    storage.close()
    held.release()
    dead.close()


def test_who_stood_still_in_the_middle_of_publishing_publishes_nothing(place: Place) -> None:
    """It is taken over when its lease has ended by the database's clock; its thread did not find out yet."""
    place.attempt("r0")
    frozen = place.open(times=Times(beat=3600.0))
    held = frozen.lock("r1", "frozen", lambda line: None)
    files = make(_Counting(frozen), held, "r1", scores("r1"))  # type: ignore[arg-type]
    with pytest.raises(RunBusy, match="frozen is at it"):
        _beaten_by(held, place)
    place.do("UPDATE _forebay_scoring_locks SET beaten_at = beaten_at - interval '30 s'")
    place.attempt("r2", overwrite=True)
    with pytest.raises(LockLost, match="took the lock over"):
        frozen.run("r1")[0].put("late.json", b"late")
    with pytest.raises(LockLost, match="took the lock over"):
        frozen.publish(held, manifest("r1", files), files, (), overwrite=True)
    assert place.runs() == {"r2"}
    held.beat()
    with pytest.raises(LockLost, match="took the lock over"):
        held.check()
    held.release()
    frozen.close()


class Proxy:
    """Between us and the server; cuts every connection when it is told to, and lets nobody in any more."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._to = (parts.hostname, parts.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = url.replace(f":{parts.port}/", f":{self._listening.getsockname()[1]}/")
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            thread.join()
        for each in self._open:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
                far = socket.create_connection(self._to)  # type: ignore[arg-type]
            except OSError:
                return
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                self._threads.append(threading.Thread(target=self._pass_on, args=(one, other)))
                self._threads[-1].start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("step", ["part-copied", "part-committed", "publish-entered"])
def test_a_connection_that_is_cut_is_told_and_loses_nothing(place: Place, step: str) -> None:
    proxy = Proxy(place.url)

    def cut(at: str) -> None:
        if at == step:
            proxy.cut()

    try:
        with pytest.raises(StorageFault) as fault:
            Place(proxy.url).attempt("r1", failpoint=cut)
    finally:
        proxy.close()
    assert "\n" not in str(fault.value)
    assert place.rows("SELECT FROM pg_tables WHERE tablename = 'scores'") == []
    place.attempt("r1")
    assert place.rows("SELECT id, run FROM scores ORDER BY id") == [(n, "r1") for n in range(6)]
    assert place.left() == []


def test_a_server_that_forgot_a_part_is_told(place: Place) -> None:
    storage = place.open(times=Times(beat=3600.0))
    held = storage.lock("r1", "me", lambda line: None)
    files = make(_Counting(storage), held, "r1", scores("r1"))  # type: ignore[arg-type]
    storage.forget("r1")
    with pytest.raises(StorageFault, match="start the same command again"):
        storage.publish(held, manifest("r1", files), files, (), overwrite=False)
    held.release()
    with pytest.raises(LockLost):
        storage.publish(held, manifest("r1", files), files, (), overwrite=False)
    storage.close()


def told(uri: str) -> str:
    """What is said of an address that leads nowhere."""
    with pytest.raises(ScoreFault) as fault:
        open_storage(uri).lock("r1", "me", lambda line: None)
    assert "\n" not in str(fault.value)
    assert "s3cret" not in str(fault.value)
    return str(fault.value)


def test_what_is_wrong_with_the_database_is_told(place: Place, tmp_path: Path) -> None:
    server, _, database = place.url.rpartition("/")
    assert 'database "nowhere" does not exist' in told(f"{server}/nowhere#t")
    assert 'schema "nowhere" does not exist: make it' in told(f"{place.url}#nowhere.t")
    assert 'role "nobody" does not exist' in told(
        f"postgresql://nobody:s3cret@{server.rpartition('@')[2]}/{database}#t"
    )
    assert "refused" in told("postgresql://u:s3cret@127.0.0.1:1/db#t")
    place.do("CREATE ROLE forebay_reader LOGIN")
    try:
        reader = place.url.replace("//postgres@", "//forebay_reader:s3cret@")
        assert "no permission: permission denied for schema public" in told(f"{reader}#t")
    finally:
        place.do("DROP ROLE forebay_reader")


def _beaten_by(held: Any, place: Place) -> None:
    storage = place.open(wait=lambda seconds: held.beat())
    try:
        storage.lock("r1", "me", lambda line: None)
    finally:
        storage.close()
