"""Staged rows become the output: in one transaction, with the manifest, so that readers see all of the old or all of the new.

Rows are deleted and inserted, or upserted; the table stays. Swapping tables by their names would lose what people made on
the old one (grants, indexes, views, foreign keys), and would wait for, and hold up, every reader; TRUNCATE would too, and
show those with an older snapshot an empty table.
"""

from collections.abc import Sequence

from psycopg import errors, sql

from pipelines.scoring.faults import BadInput, OtherRun, SharedOutput, StorageFault
from pipelines.scoring.hive import Partitions, folder_of
from pipelines.scoring.rejecting import FOLDER
from pipelines.scoring.storage import manifests
from pipelines.scoring.storage.port import Failpoint
from pipelines.scoring.storage.postgres import fence, looking, tables, target
from pipelines.scoring.storage.postgres.database import Connection, Database
from pipelines.scoring.storage.postgres.parts import HANDLE
from pipelines.scoring.storage.postgres.staging import PART, REJECT_COLUMNS, typed
from pipelines.scoring.storage.postgres.target import Filling
from pipelines.scoring.storage.postgres.types import column_type
from schemas.scoring import Manifest, StoredFile, encode

RUN = "run_id"
"""Column of the rejects' table."""
_HELD = "SELECT id, rows FROM {parts} WHERE output = %s AND run_id = %s AND id = ANY(%s)"
_DROP_ENTRIES = "DELETE FROM {scoring} WHERE output = %s AND (run_id = %s OR {all} OR table_oid IS DISTINCT FROM %s)"
_ENTER = "INSERT INTO {scoring} (output, run_id, fence, table_oid, rejects_oid, manifest) VALUES (%s, %s, %s, %s, %s, %s::json)"


class Publication:
    """Of one run."""

    def __init__(self, database: Database, manifest: Manifest, number: int, token: str, failpoint: Failpoint) -> None:
        """`number`, `token`: of the lock that is held."""
        self._database = database
        self._manifest = manifest
        self._run_id = manifest.order.run_id
        self._number = number
        self._token = token
        self._failpoint = failpoint

    def publish(self, files: Sequence[StoredFile], overwrite: bool) -> None:
        """See `pipelines.scoring.storage.port.Storage`."""
        try:
            with self._database.transaction() as connection:
                fence.check(connection, self._database, self._token)
                self._failpoint("publish-checked")
                if self._is_there(connection, overwrite):
                    return
                rejects = [file for file in files if file.path.startswith(f"{FOLDER}/")]
                rows = [file for file in files if file not in rejects]
                self._check_parts(connection, files)
                self._fill(connection, rows)
                self._failpoint("publish-filled")
                kept = self._fill_rejects(connection, rejects)
                self._enter(connection, kept)
                self._failpoint("publish-entered")
        except (BadInput, StorageFault) as fault:
            if isinstance(fault.__cause__, errors.CardinalityViolation):
                raise self._same_key() from fault
            raise
        self._failpoint("publish-committed")

    def _is_there(self, connection: Connection, overwrite: bool) -> bool:
        """Published already, by an attempt that was killed right after. Raises OtherRun."""
        try:
            there = looking.look(connection, self._database, self._run_id)
        except SharedOutput:
            if not overwrite:
                raise
            return False
        current = None if there is None else there.current
        manifests.refuse_other(current, self._run_id, overwrite, f"output {self._database.at}")
        return current is not None and current.says(self._manifest)

    def _check_parts(self, connection: Connection, files: Sequence[StoredFile]) -> None:
        numbers = [file.handle[HANDLE] for file in files]
        place = [self._database.at.table, self._run_id, numbers]
        held = dict(connection.execute(self._database.sql(_HELD), place).fetchall())
        for file, number in zip(files, numbers, strict=True):
            if held.get(number) != file.rows:
                raise StorageFault(
                    f"output {self._database.at}: {file.path} is not in its staging table any more: start the same command"
                    " again, and it is made again"
                )

    def _fill(self, connection: Connection, rows: Sequence[StoredFile]) -> None:
        if not rows:
            return
        made = self._filling(connection, rows)
        if tables.oid_of(connection, self._database, self._database.at.table) is None:
            target.create(connection, self._database, made)
        elif self._database.at.mode == "replace":
            target.check_fits(connection, self._database)
            connection.execute(self._database.sql("LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
            connection.execute(self._database.sql("DELETE FROM {table}"))
        written = connection.execute(made.statement([file.handle[HANDLE] for file in rows])).rowcount
        expected = sum(file.rows for file in rows)
        if written != expected and made.replaces:
            raise StorageFault(
                f"output {self._database.at}: {written:,} of {expected:,} rows were taken: look for triggers and rules on it"
            )

    def _filling(self, connection: Connection, rows: Sequence[StoredFile]) -> Filling:
        staging = tables.staging_of(self._database.at.table, self._run_id)
        columns = [each for each in target.attributes(connection, self._database, staging) if each[0] != PART]
        folders = Partitions([folder_of(file.path) for file in rows])
        hive = tuple((name, column_type(kind)) for name, kind in folders.types.items())
        return target.filling(connection, self._database, staging, tuple(columns), hive)

    def _fill_rejects(self, connection: Connection, rejects: Sequence[StoredFile]) -> int | None:
        """The rejects' table; None without any."""
        database = self._database
        there = tables.oid_of(connection, database, database.at.rejects)
        if there is None and not rejects:
            return None
        ours = there is None or there in looking.own_rejects(connection, database)
        if not ours and not rejects:
            return None
        if not ours:
            raise OtherRun(
                f"output {database.at}: its rejects would go to {database.at.rejects}, a table that is not of Forebay: rename it"
            )
        if there is None:
            self._create_rejects(connection)
        all_runs = sql.SQL("TRUE" if database.at.mode == "replace" else "FALSE")
        statement = database.sql("DELETE FROM {rejects} WHERE run_id = %s OR {all}", all=all_runs)
        connection.execute(statement, [self._run_id])
        if rejects:
            self._copy_rejects(connection, [file.handle[HANDLE] for file in rejects])
        return tables.oid_of(connection, database, database.at.rejects)

    def _create_rejects(self, connection: Connection) -> None:
        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(name), typed(kind))
            for name, kind in ((RUN, "text"), *REJECT_COLUMNS)
        )
        connection.execute(self._database.sql("CREATE TABLE {rejects} ({columns})", columns=columns))

    def _copy_rejects(self, connection: Connection, numbers: Sequence[int]) -> None:
        names = sql.SQL(", ").join(sql.Identifier(name) for name, _ in REJECT_COLUMNS)
        statement = self._database.sql(
            "INSERT INTO {rejects} (run_id, {names}) SELECT %s, {names} FROM {staging} WHERE {part} = ANY(%s)",
            names=names, part=sql.Identifier(PART),
            staging=self._database.own(tables.rejected_of(self._database.at.table, self._run_id)),
        )  # fmt: skip
        connection.execute(statement, [self._run_id, list(numbers)])

    def _enter(self, connection: Connection, rejects: int | None) -> None:
        database = self._database
        oid = tables.oid_of(connection, database, database.at.table)
        others = sql.SQL("TRUE" if database.at.mode == "replace" else "FALSE")
        connection.execute(database.sql(_DROP_ENTRIES, all=others), [database.at.table, self._run_id, oid])
        told = encode(self._manifest).decode()
        connection.execute(database.sql(_ENTER), [database.at.table, self._run_id, self._number, oid, rejects, told])

    def _same_key(self) -> BadInput:
        key = ", ".join(self._database.at.key)
        return BadInput(
            f"output {self._database.at}: several rows of run {self._run_id} have the same key ({key}): nothing was published;"
            " a key names one row"
        )
