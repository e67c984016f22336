"""What differs between SQLite and PostgreSQL, in one place."""

import re
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

Kind = Literal["int", "float", "text", "bytes"]
Fields = tuple[tuple[str, Kind], ...]
_IS_NAMED = re.compile(r"\{is_named:(\w+)\}")
_BYTES = re.compile(r"\{bytes:([^}]+)\}")


class Dialect(Struct, frozen=True):
    name: Literal["sqlite", "postgresql"]
    now: str
    """The database's clock in epoch seconds, the same within a statement. `:skew` lets tests move it."""
    rows: Callable[[Fields], str]
    """A FROM item `v` with these columns, one row per entry of the JSON array of arrays in `:rows`. It lets a batch of any
    size be one statement with a constant text."""
    named: Callable[[Fields], str]
    """The same for rows of which one column is an `id`: with what `is_named` needs beside."""
    is_named: str
    """Whether a row of `jobs`, under the name that `{}` stands for, has the id."""
    as_bytes: str
    """An expression of text made bytes."""
    each_text: str
    """A FROM item with one column `value`, one row per entry of the JSON array of strings in `:models`."""
    for_update: str
    skip_locked: str

    def expand(self, template: str, fields: Fields = ()) -> str:
        """Named SQL with its placeholders filled in: `{now}`, `{rows}`, `{named}`, `{is_named:alias}`, `{models}`,
        `{for_update}`, `{skip_locked}`, `{bytes:expression}`."""
        sql = (
            template.replace("{rows}", self.rows(fields)).replace("{named}", self.named(fields)) if fields else template
        )
        sql = _IS_NAMED.sub(lambda match: self.is_named.format(match[1]), sql)
        sql = _BYTES.sub(lambda match: self.as_bytes.format(match[1]), sql)
        for name, value in (
            ("{now}", self.now),
            ("{models}", self.each_text),
            ("{for_update}", self.for_update),
            ("{skip_locked}", self.skip_locked),
        ):
            sql = sql.replace(name, value)
        return sql


def pack(rows: Sequence[Sequence[object]]) -> str:
    """The value of `:rows`."""
    return msgspec.json.encode(rows).decode()


def _sqlite_rows(fields: Fields) -> str:
    def column(index: int, name: str, kind: Kind) -> str:
        value = f"json_extract(value, '$[{index}]')"
        return f"CAST({value} AS BLOB) AS {name}" if kind == "bytes" else f"{value} AS {name}"

    columns = ", ".join(column(index, *field) for index, field in enumerate(fields))
    return f"(SELECT {columns} FROM json_each(:rows)) AS v"


_POSTGRES_CASTS: dict[Kind, str] = {
    "int": "CAST(value ->> {} AS bigint)",
    "float": "CAST(value ->> {} AS double precision)",
    "text": "value ->> {}",
    "bytes": "convert_to(value ->> {}, 'UTF8')",
}


def _postgres_rows(fields: Fields) -> str:
    columns = ", ".join(f"{_POSTGRES_CASTS[kind].format(index)} AS {name}" for index, (name, kind) in enumerate(fields))
    return f"(SELECT {columns} FROM json_array_elements(CAST(:rows AS json)) AS entry(value)) AS v"


def _postgres_named(fields: Fields) -> str:
    """Each id is looked up by itself, which OFFSET 0 makes PostgreSQL do: see `pipelines.store.guards`."""
    found = "LATERAL (SELECT j.seq FROM jobs j WHERE j.id = v.id OFFSET 0) AS found"
    return f"(SELECT v.*, found.seq FROM {_postgres_rows(fields)}, {found}) AS v"


# SQLite 3.40 has no subsecond unixepoch(); julianday() counts milliseconds.
SQLITE = Dialect(
    name="sqlite",
    now="((julianday('now') - 2440587.5) * 86400.0 + :skew)",
    rows=_sqlite_rows,
    named=_sqlite_rows,  # goes by an index on what is compared, whatever there is
    is_named="{}.id = v.id",
    as_bytes="CAST({} AS BLOB)",
    each_text="json_each(:models)",
    for_update="",
    skip_locked="",
)

# statement_timestamp() is stable, so that an index can be searched with it; clock_timestamp() is not.
POSTGRES = Dialect(
    name="postgresql",
    now="(CAST(extract(epoch FROM statement_timestamp()) AS double precision) + :skew)",
    rows=_postgres_rows,
    named=_postgres_named,
    is_named="{}.seq = v.seq",
    as_bytes="convert_to({}, 'UTF8')",
    each_text="json_array_elements_text(CAST(:models AS json)) AS served(value)",
    for_update="FOR UPDATE OF j",
    skip_locked="FOR UPDATE SKIP LOCKED",
)
