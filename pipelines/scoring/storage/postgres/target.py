"""The table that readers know: what it must be like, and the statements that fill it."""

from collections.abc import Sequence

import psycopg
from msgspec import Struct
from psycopg import sql

from pipelines.scoring.faults import BadOrder
from pipelines.scoring.storage.postgres import tables
from pipelines.scoring.storage.postgres.database import Connection, Database, line
from pipelines.scoring.storage.postgres.staging import PART, Columns, Shape, typed

_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence", "i": "an index"}
_ATTRIBUTES = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""
_HANGING = """
SELECT conrelid::regclass::text, conname FROM pg_constraint
WHERE contype = 'f' AND confrelid = %s AND confdeltype IN ('c', 'n', 'd') AND conrelid <> confrelid LIMIT 1"""


class Filling(Struct, frozen=True):
    """From the staging table into the output's."""

    database: Database
    staging: str
    columns: Columns
    """Of the parts' files."""
    hive: Columns
    """Of their folders."""

    @property
    def replaces(self) -> bool:
        """Whether every row is written, new or not: else those whose key is all that they have stay as they are."""
        return not self.database.at.key or any(
            name not in self.database.at.key for name, _ in (*self.hive, *self.columns)
        )

    def statement(self, parts: Sequence[int]) -> sql.Composed:
        """All rows of these parts."""
        names = [name for name, _ in (*self.hive, *self.columns)]
        return self.database.sql(
            "INSERT INTO {table} ({names}) SELECT {values} FROM {staging} s JOIN {parts} p ON p.id = s.{part}"
            " WHERE s.{part} = ANY({numbers}::bigint[]){conflict}",
            names=_listed(names), values=self._values(), staging=self.database.own(self.staging),
            part=sql.Identifier(PART), numbers=sql.Literal(list(parts)), conflict=self._conflict(names),
        )  # fmt: skip

    def _values(self) -> sql.Composed:
        folders = [
            sql.SQL("CAST(p.hive ->> {} AS {})").format(sql.Literal(name), typed(kind)) for name, kind in self.hive
        ]
        own = [sql.SQL("s.{}").format(sql.Identifier(name)) for name, _ in self.columns]
        return sql.SQL(", ").join([*folders, *own])

    def _conflict(self, names: Sequence[str]) -> sql.Composable:
        key = self.database.at.key
        if not key:
            return sql.SQL("")
        others = [sql.Identifier(name) for name in names if name not in key]
        changes = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(name) for name in others)
        action = sql.SQL("UPDATE SET {}").format(changes) if others else sql.SQL("NOTHING")
        return sql.SQL(" ON CONFLICT ({}) DO {}").format(_listed(key), action)


def filling(connection: Connection, database: Database, staging: str, columns: Columns, hive: Columns) -> Filling:
    """Folders' values as the table that is there has them. `hive`: their types where there is none."""
    there = dict(attributes(connection, database, database.at.table))
    own = {name for name, _ in columns}
    folders = tuple((name, there.get(name, kind)) for name, kind in hive if name not in own)
    return Filling(database, staging, columns, folders)


def check(connection: Connection, database: Database, shape: Shape, hive: Sequence[str]) -> None:
    """That publishing will not fail for a reason that is known now, hours before. Raises BadOrder, one line."""
    names = {name for name, _ in shape.columns} | set(hive)
    missing = [name for name in database.at.key if name not in names]
    if missing:
        raise BadOrder(f"output {database.at}: key: no column {missing[0]!r}; there are {', '.join(sorted(names))}")
    if tables.oid_of(connection, database, database.at.table) is None:
        return
    made = filling(connection, database, shape.staging, shape.columns, tuple((name, "text") for name in hive))
    try:
        with connection.transaction():
            check_fits(connection, database)
            connection.execute(sql.SQL("EXPLAIN ") + made.statement([]))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as fault:
        because = f"{line(fault)}{_hint(database, fault)}"
        raise BadOrder(f"output {database.at}: the table does not take these rows: {because}") from fault


def check_fits(connection: Connection, database: Database) -> None:
    """Raises BadOrder when it is no table, or other tables' rows hang on its rows."""
    oid = tables.oid_of(connection, database, database.at.table)
    found = connection.execute("SELECT relkind FROM pg_class WHERE oid = %s", [oid]).fetchone()
    kind = "" if found is None else str(found[0])
    if kind in _KINDS:
        raise BadOrder(f"output {database.at}: it is {_KINDS[kind]}: name a table")
    hanging = connection.execute(_HANGING, [oid]).fetchone()
    if database.at.mode == "replace" and hanging is not None:
        raise BadOrder(
            f"output {database.at}: replacing its rows would change those of {hanging[0]} (foreign key {hanging[1]}):"
            " use ?mode=upsert, or name another table"
        )


def create(connection: Connection, database: Database, made: Filling) -> None:
    """With the key as its primary key. Raises psycopg.Error."""
    columns = [sql.SQL("{} {}").format(sql.Identifier(name), typed(kind)) for name, kind in (*made.hive, *made.columns)]
    if database.at.key:
        columns.append(sql.SQL("PRIMARY KEY ({})").format(_listed(database.at.key)))
    connection.execute(database.sql("CREATE TABLE {table} ({columns})", columns=sql.SQL(", ").join(columns)))


def attributes(connection: Connection, database: Database, name: str) -> Columns:
    """Empty: there is no such table."""
    oid = tables.oid_of(connection, database, name)
    return tuple((str(name), str(kind)) for name, kind in connection.execute(_ATTRIBUTES, [oid]).fetchall())


def _listed(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _hint(database: Database, fault: psycopg.Error) -> str:
    if isinstance(fault, psycopg.errors.InvalidColumnReference):
        return f": CREATE UNIQUE INDEX ON {database.at.schema}.{database.at.table} ({', '.join(database.at.key)})"
    return ": change it (ALTER TABLE), or name another one"
