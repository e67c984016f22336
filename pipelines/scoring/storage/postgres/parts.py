"""Parts: Parquet that is spooled to a temporary file, and then copied into the run's staging table in one transaction."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from pipelines.scoring.faults import BadInput, StorageFault
from pipelines.scoring.hive import folder_of, values_of
from pipelines.scoring.rejecting import FOLDER
from pipelines.scoring.storage.naming import checked_path
from pipelines.scoring.storage.port import Failpoint
from pipelines.scoring.storage.postgres import staging, tables, target
from pipelines.scoring.storage.postgres.database import PARTS, Connection, Database
from pipelines.scoring.storage.postgres.rendering import lines
from pipelines.scoring.storage.postgres.staging import PART, Shape
from schemas.scoring import StoredFile

_ROWS = 16_384
"""That are in memory at once."""
_NOTE = (
    "INSERT INTO {parts} (output, run_id, path, sha256, rows, hive) VALUES (%s, %s, %s, %s, %s, %s::jsonb) RETURNING id"
)
_HELD = "SELECT sha256 FROM {parts} WHERE id = %s AND output = %s AND run_id = %s AND path = %s"
HANDLE = "part"
"""In a StoredFile's handle: the part's number in the database."""


class RowParts:
    """See `pipelines.scoring.storage.port.Parts`."""

    def __init__(self, database: Database, run_id: str, failpoint: Failpoint) -> None:
        self._database = database
        self._run_id = run_id
        self._failpoint = failpoint

    def begin(self, path: str) -> "SpooledPart":
        checked_path(path)
        with _disk(self._database):
            spool = tempfile.TemporaryFile(prefix="forebay-part-")  # noqa: SIM115  # until it is finished or discarded
        return SpooledPart(self._database, self._run_id, path, spool, self._failpoint)

    def holds(self, file: StoredFile) -> bool:
        place = [file.handle[HANDLE], self._database.at.table, self._run_id, file.path]
        with self._database.transaction() as connection:
            if not tables.exists(connection, self._database, PARTS):
                return False
            found = connection.execute(self._database.sql(_HELD), place).fetchone()
        return found is not None and found[0] == file.sha256


class SpooledPart:
    """See `pipelines.scoring.storage.port.PartFile`."""

    closed = False
    """pyarrow looks at it."""

    def __init__(self, database: Database, run_id: str, path: str, spool: IO[bytes], failpoint: Failpoint) -> None:
        self._database = database
        self._run_id = run_id
        self._path = path
        self._spool = spool
        self._failpoint = failpoint
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes) -> int:
        with _disk(self._database):
            self._spool.write(data)
        self._digest.update(data)
        self._size += len(data)
        return len(data)

    def finish(self, rows: int) -> StoredFile:
        with self._spool, _disk(self._database):
            self._failpoint("part-written")
            self._spool.flush()
            try:
                parquet = pq.ParquetFile(self._spool)
            except pa.ArrowException as fault:
                raise BadInput(f"output {self._database.at}: {self._path}: no Parquet: {fault}") from None
            number = self._copied(parquet, rows)
        self._failpoint("part-committed")
        return StoredFile(self._path, self._size, self._digest.hexdigest(), rows, {HANDLE: number})

    def discard(self) -> None:
        self._spool.close()

    def _copied(self, parquet: pq.ParquetFile, rows: int) -> int:
        shape = self._shape(parquet.schema_arrow)
        tables.make(self._database)
        with self._database.transaction() as connection:
            if not tables.exists(connection, self._database, shape.staging):
                staging.make(self._database, shape)  # in a transaction of its own: others wait for it
            number = self._noted(connection, rows)
            if not self._is_rejects:
                target.check(connection, self._database, shape, sorted(self._hive))
            self._failpoint("part-noted")
            copied = self._copy(connection, parquet, shape, number)
            if copied != rows:
                raise StorageFault(f"output {self._database.at}: {self._path}: {copied:,} of {rows:,} rows were copied")
            self._failpoint("part-copied")
        return number

    def _shape(self, schema: pa.Schema) -> Shape:
        if self._is_rejects:
            return staging.rejects_shape(self._database, self._run_id)
        return staging.rows_shape(self._database, self._run_id, self._path, schema)

    def _noted(self, connection: Connection, rows: int) -> int:
        values = [
            self._database.at.table, self._run_id, self._path, self._digest.hexdigest(), rows, json.dumps(self._hive),
        ]  # fmt: skip
        found = connection.execute(self._database.sql(_NOTE), values).fetchone()
        assert found is not None
        return int(found[0])

    def _copy(self, connection: Connection, parquet: pq.ParquetFile, shape: Shape, number: int) -> int:
        names = sql.SQL(", ").join(sql.Identifier(name) for name in (PART, *(name for name, _ in shape.columns)))
        statement = self._database.sql(
            "COPY {staging} ({names}) FROM STDIN", staging=self._database.own(shape.staging), names=names
        )
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                first = 0
                for batch in parquet.iter_batches(_ROWS):
                    parts = pa.repeat(pa.scalar(str(number), pa.large_string()), batch.num_rows)
                    copy.write(lines([parts, *shape.texts(batch, first)]))
                    first += batch.num_rows
            return cursor.rowcount

    @property
    def _is_rejects(self) -> bool:
        return self._path.startswith(f"{FOLDER}/")

    @property
    def _hive(self) -> dict[str, str | None]:
        return {} if self._is_rejects else values_of(folder_of(self._path))


@contextmanager
def _disk(database: Database) -> Iterator[None]:
    """Of the spool."""
    try:
        yield
    except OSError as fault:
        where = f"temporary file in {tempfile.gettempdir()}"
        raise StorageFault(f"output {database.at}: {where}: {fault.strerror or fault}") from fault
