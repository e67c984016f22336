"""`postgresql://user:password@host:port/database?mode=upsert&key=id,ts#schema.table`. No client is needed to read it."""

import re
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

Mode = Literal["replace", "upsert"]

EXPECTED = "postgresql://user:password@host:port/database#schema.table"
SCHEMES = ("postgresql://", "postgres://")
REJECTS = "_rejects"
_ADDRESS = re.compile(r"postgres(?:ql)?://(?:([^@/?#]*)@)?([^@/?#]*)/([^@/?#]+)(?:\?([^#@]*))?#([^#]*)")
_SCHEMA = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_$.-]*")
_TABLE = re.compile(rf"(?:({_SCHEMA.pattern})\.)?([A-Za-z_][A-Za-z0-9_$]*)")
_MOST_CHARS = 63
"""Of a name in PostgreSQL."""
_OF_LIBPQ = frozenset({
    "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "channel_binding", "gssencmode", "passfile", "require_auth",
    "target_session_attrs",
})  # fmt: skip
"""What may go along to the client library. Nothing that names another server, user or password."""
_PERCENT = "characters such as '@', '/', '?' and '#' in a password are written %40, %2F, %3F and %23"


class TableAddress(Struct, frozen=True):
    hosts: str
    database: str
    schema: str
    table: str
    user: str = ""
    """With its password, as given."""
    options: tuple[tuple[str, str], ...] = ()
    """The client library's."""
    mode: Mode = "replace"
    key: tuple[str, ...] = ()
    """Columns that name a row; only to upsert."""

    def __str__(self) -> str:
        """For messages, orders and manifests: without user, password and the client library's options."""
        return f"postgresql://{self.hosts}/{self.database}{_query(self._own())}#{self.schema}.{self.table}"

    def __repr__(self) -> str:
        return str(self)

    @property
    def server(self) -> str:
        """As the client library takes it: a secret."""
        user = f"{self.user}@" if self.user else ""
        return f"postgresql://{user}{self.hosts}/{self.database}{_query(self.options)}"

    @property
    def secret(self) -> str:
        """The whole of it."""
        own = _query([*self.options, *self._own()])
        return f"{self.server.partition('?')[0]}{own}#{self.schema}.{self.table}"

    @property
    def rejects(self) -> str:
        return self.table + REJECTS

    def _own(self) -> list[tuple[str, str]]:
        return [] if self.mode == "replace" else [("mode", self.mode), ("key", ",".join(self.key))]


def is_table(uri: str) -> bool:
    return uri.startswith(SCHEMES)


def parse(uri: str) -> TableAddress:
    """Raises ValueError, one line, which never shows a password."""
    user, hosts, database, query, name = _taken_apart(uri, EXPECTED)
    found = _TABLE.fullmatch(name)
    if found is None:
        raise ValueError(
            f"no table's name behind '#': expected table or schema.table of letters, digits, '_' and '$'; {_PERCENT}"
        )
    schema, table = found[1] or "public", found[2]
    if table.startswith("_forebay") or table.endswith(REJECTS):
        raise ValueError(
            f"table {table}: names that begin with _forebay or end with {REJECTS} are Forebay's own: take another"
        )
    if len(table + REJECTS) > _MOST_CHARS or len(schema) > _MOST_CHARS:
        raise ValueError(f"table {schema}.{table}: expected at most {_MOST_CHARS - len(REJECTS)} characters")
    mode, key, options = _options(query)
    return TableAddress(hosts, database, schema, table, user, options, mode, key)


class SchemaAddress(Struct, frozen=True):
    """A root of the service: tables of one schema."""

    hosts: str
    database: str
    schema: str
    user: str = ""
    options: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"postgresql://{self.hosts}/{self.database}#{self.schema}"

    def holds(self, at: TableAddress) -> bool:
        return (at.hosts.lower(), at.database, at.schema) == (self.hosts.lower(), self.database, self.schema)


def parse_schema(uri: str) -> SchemaAddress:
    """`postgresql://user:password@host:port/database#schema`. Raises ValueError, as `parse` does."""
    user, hosts, database, query, schema = _taken_apart(uri, EXPECTED.removesuffix(".table"))
    if not _SCHEMA.fullmatch(schema) or len(schema) > _MOST_CHARS:
        raise ValueError(f"no schema's name behind '#': expected letters, digits, '_' and '$'; {_PERCENT}")
    mode, _, options = _options(query)
    if mode != "replace":
        raise ValueError("mode and key are for each run to say")
    return SchemaAddress(hosts, database, schema, user, options)


def _taken_apart(uri: str, expected: str) -> tuple[str, str, str, str, str]:
    found = _ADDRESS.fullmatch(uri)
    if found is None:
        raise ValueError(f"expected {expected}; {_PERCENT}")
    return found[1] or "", found[2], found[3], found[4] or "", found[5]


def _options(query: str) -> tuple[Mode, tuple[str, ...], tuple[tuple[str, str], ...]]:
    given = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in given]
    if len(set(names)) != len(names) or (set(names) - _OF_LIBPQ - {"mode", "key"}):
        raise ValueError(f"options: expected mode, key, {', '.join(sorted(_OF_LIBPQ))}, each once")
    mode = dict(given).get("mode", "replace")
    key = tuple(filter(None, dict(given).get("key", "").split(",")))
    if mode == "upsert":
        if not key or len(set(key)) != len(key):
            raise ValueError("mode=upsert: expected the columns that name a row, each once: ?mode=upsert&key=id,ts")
        return "upsert", key, _of_libpq(given)
    if mode != "replace" or key:
        raise ValueError("mode: expected replace, or upsert with a key: ?mode=upsert&key=id,ts")
    return "replace", (), _of_libpq(given)


def _of_libpq(given: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in given if name in _OF_LIBPQ)


def _query(options: "list[tuple[str, str]] | tuple[tuple[str, str], ...]") -> str:
    return f"?{urlencode(options, safe=',/')}" if options else ""
