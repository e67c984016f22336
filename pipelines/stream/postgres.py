"""Output to a PostgreSQL table: answers, dead letters and offsets in one transaction of the database.

Offsets are read back from there, so the group's own do not matter: what the database committed is what happened. Of two
processes that write one partition, the one that goes by an older offset changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import psycopg
from confluent_kafka import Message
from msgspec import Struct
from psycopg import sql

from pipelines.kafka.faults import KafkaAway, KafkaRefused
from pipelines.stream.dead import Buried, headers_of
from pipelines.stream.positions import Partition
from pipelines.stream.sinks import Undone

OFFSETS = "forebay_stream_offsets"
DEAD_LETTERS = "_dead_letters"
_LIMITS = "-c statement_timeout=30000 -c idle_in_transaction_session_timeout=20000"

_MAKE_OFFSETS = """CREATE TABLE IF NOT EXISTS {offsets} (
    consumer_group text, topic text, partition int, next bigint NOT NULL, PRIMARY KEY (consumer_group, topic, partition))"""
_PLACE = "topic text, partition int, record_offset bigint, key bytea, record_time timestamptz, "
_MAKE_OUTPUT = f"""CREATE TABLE IF NOT EXISTS {{table}} ({_PLACE}
    model text NOT NULL, version text NOT NULL, output jsonb NOT NULL, PRIMARY KEY (topic, partition, record_offset))"""
_MAKE_DEAD = f"""CREATE TABLE IF NOT EXISTS {{dead}} ({_PLACE}
    model text NOT NULL, version text NOT NULL, value bytea, headers jsonb NOT NULL, reason text NOT NULL, error text NOT NULL,
    attempts int NOT NULL, failed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (topic, partition, record_offset))"""
_COLUMNS = "topic, partition, record_offset, key, record_time, model, version"
_UNNESTED = """unnest(%s::text[], %s::int[], %s::bigint[], %s::bytea[], %s::double precision[]"""
# Put together from constants; every value is bound.
_WRITE = f"""INSERT INTO {{table}} ({_COLUMNS}, output)
    SELECT v.t, v.p, v.o, v.k, to_timestamp(v.at), %s, %s, v.value::jsonb
    FROM {_UNNESTED}, %s::text[]) AS v(t, p, o, k, at, value)"""  # noqa: S608
_BURY = f"""INSERT INTO {{dead}} ({_COLUMNS}, value, headers, reason, error, attempts)
    SELECT v.t, v.p, v.o, v.k, to_timestamp(v.at), %s, %s, v.value, v.headers::jsonb, v.reason, v.error, v.attempts
    FROM {_UNNESTED}, %s::bytea[], %s::text[], %s::text[], %s::text[], %s::int[])
        AS v(t, p, o, k, at, value, headers, reason, error, attempts)"""  # noqa: S608
# Only from the offset that we read from: another process may have gone on from there meanwhile.
_ADVANCE = """UPDATE {offsets} AS o SET next = v.next FROM unnest(%s::text[], %s::int[], %s::bigint[], %s::bigint[])
        AS v(topic, partition, base, next)
    WHERE o.consumer_group = %s AND o.topic = v.topic AND o.partition = v.partition AND o.next = v.base"""
_BEGIN_AT = """INSERT INTO {offsets} (consumer_group, topic, partition, next)
    SELECT %s, v.topic, v.partition, v.next FROM unnest(%s::text[], %s::int[], %s::bigint[]) AS v(topic, partition, next)
    ON CONFLICT DO NOTHING"""
_READ = "SELECT topic, partition, next FROM {offsets} WHERE consumer_group = %s"


class Destination(Struct, frozen=True):
    """`table` may be `schema.table`; its dead letters go to `<table>_dead_letters`."""

    url: str
    table: str
    group: str
    model: str
    version: str


class PostgresSink:
    """A `Sink`."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self._names = _names(to.table)
        self._connection: psycopg.Connection[Any] | None = None
        self._known: dict[Partition, int] = {}
        """Next offsets that the database has, as of our last look or commit."""
        self._forget()

    def start(self, create: bool) -> None:
        """Raises KafkaRefused when the table is not there or may not be used, KafkaAway when the server is not."""
        try:
            connection = self._connected()
            if not create and connection.execute("SELECT to_regclass(%s)", [self._to.table]).fetchone() == (None,):
                raise KafkaRefused(
                    f"output: no table {self._to.table!r}; create it, or ask for it with --create-topics"
                )
            for statement in (_MAKE_OFFSETS, _MAKE_OUTPUT, _MAKE_DEAD):
                connection.execute(self._sql(statement))
            connection.commit()
        except psycopg.OperationalError as fault:
            raise KafkaAway(f"output: {_line(fault)}") from fault
        except psycopg.Error as fault:
            raise KafkaRefused(f"output {self._to.table}: {_line(fault)}") from fault

    def begin(self, group: Any) -> None:
        self._forget()

    def write(self, messages: Sequence[Message], values: Sequence[bytes]) -> None:
        self._answered += messages
        self._values += [value.decode() for value in values]

    def bury(self, letters: Sequence[Buried]) -> None:
        self._buried += letters

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Everything in one go: no transaction, and no lock of it, outlasts a model run."""
        if self._answered:
            self._run(_WRITE, [self._to.model, self._to.version, *_places(self._answered), self._values])
        if self._buried:
            self._run(_BURY, [self._to.model, self._to.version, *_burials(self._buried)])
        self._advance(offsets)
        try:
            self._connected().commit()
        except psycopg.Error as fault:
            self._drop()
            raise Undone(f"output: commit: {_line(fault)}") from fault
        self._forget()
        self._known.update(offsets)

    def abort(self) -> None:
        self._forget()
        if self._connection is not None:
            try:
                self._connection.rollback()
            except psycopg.Error:
                self._drop()

    def renew(self) -> None:
        try:
            self._connected()
        except psycopg.Error as fault:
            raise KafkaAway(f"output: {_line(fault)}") from fault

    def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, int]:
        """Read anew. Of partitions that the database does not know nothing is committed."""
        try:
            connection = self._connected()
            rows = connection.execute(self._sql(_READ), [self._to.group]).fetchall()
            connection.rollback()
        except psycopg.Error as fault:
            self._drop()
            raise Undone(f"output: {_line(fault)}") from fault
        self._known = {(topic, number): following for topic, number, following in rows}
        return {each: at for each, at in self._known.items() if each in partitions}

    def close(self) -> None:
        self._drop()

    def _forget(self) -> None:
        self._answered: list[Message] = []
        self._values: list[str] = []
        self._buried: list[Buried] = []

    def _advance(self, offsets: Mapping[Partition, int]) -> None:
        first = _first([*self._answered, *(letter.message for letter in self._buried)])
        fresh = {each: first.get(each, offset) for each, offset in offsets.items() if each not in self._known}
        if fresh:
            topics, numbers = [topic for topic, _ in fresh], [number for _, number in fresh]
            self._run(_BEGIN_AT, [self._to.group, topics, numbers, list(fresh.values())])
        topics, numbers = [topic for topic, _ in offsets], [number for _, number in offsets]
        bases = [self._known.get(each, fresh.get(each, 0)) for each in offsets]
        if self._run(_ADVANCE, [topics, numbers, bases, list(offsets.values()), self._to.group]) != len(offsets):
            raise Undone("output: another process has gone on from these offsets meanwhile")

    def _run(self, statement: str, values: Sequence[Any]) -> int:
        try:
            return self._connected().execute(self._sql(statement), values).rowcount
        except psycopg.OperationalError as fault:
            self._drop()
            raise Undone(f"output: {_line(fault)}") from fault
        except psycopg.Error as fault:
            raise Undone(f"output {self._to.table}: {_line(fault)}") from fault

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._to.url, connect_timeout=5, application_name="forebay stream", options=_LIMITS
            )
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _sql(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(**self._names)


def _names(table: str) -> dict[str, sql.Identifier]:
    schema, _, name = table.rpartition(".")
    within = (schema,) if schema else ()
    return {
        "table": sql.Identifier(*within, name),
        "dead": sql.Identifier(*within, name + DEAD_LETTERS),
        "offsets": sql.Identifier(*within, OFFSETS),
    }


def _places(messages: Sequence[Message]) -> list[list[Any]]:
    return [
        [message.topic() for message in messages],
        [message.partition() for message in messages],
        [message.offset() for message in messages],
        [message.key() for message in messages],
        [message.timestamp()[1] / 1000 if message.timestamp()[0] else None for message in messages],
    ]


def _first(messages: Sequence[Message]) -> dict[Partition, int]:
    found: dict[Partition, int] = {}
    for message in messages:
        place, offset = (message.topic() or "", message.partition() or 0), message.offset() or 0
        found[place] = min(offset, found.get(place, offset))
    return found


def _burials(letters: Sequence[Buried]) -> list[list[Any]]:
    messages = [letter.message for letter in letters]
    return [
        *_places(messages),
        [message.value() for message in messages],
        [_headers(message) for message in messages],
        [str(letter.reason) for letter in letters],
        [letter.error.replace("\0", "") for letter in letters],
        [letter.attempts for letter in letters],
    ]


def _headers(message: Message) -> str:
    """Pairs in order; a value that is no text as it is written in Latin-1, byte for byte."""
    pairs = [
        (name, value if isinstance(value, str) or value is None else value.decode("latin-1").replace("\0", ""))
        for name, value in headers_of(message)
    ]
    return msgspec.json.encode(pairs).decode()


def _line(fault: psycopg.Error) -> str:
    return " ".join(str(fault).split())[:300]
