"""Forebay's own tables, in the schema of the output.

_forebay_scoring           what is published, with its manifest: one row for each run whose rows are in the table
_forebay_scoring_locks     who is at which table
_forebay_scoring_records   of unfinished runs
_forebay_scoring_parts     of unfinished runs: parts that are in the staging tables, whole
_forebay_<digest>_rows     staging table of one unfinished run, and `…_rejects` for its rejects
"""

import hashlib

from pipelines.scoring.storage.postgres.database import SCORING, Connection, Database

_MAKE = """
CREATE TABLE IF NOT EXISTS {scoring} (
    output text NOT NULL, run_id text NOT NULL, fence bigint NOT NULL, table_oid oid, rejects_oid oid, manifest json NOT NULL,
    published_at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (output, run_id));
CREATE TABLE IF NOT EXISTS {locks} (
    output text PRIMARY KEY, token text NOT NULL, holder json NOT NULL, version bigint NOT NULL,
    beaten_at timestamptz NOT NULL, backend int, backend_start timestamptz);
CREATE TABLE IF NOT EXISTS {records} (
    output text NOT NULL, run_id text NOT NULL, name text NOT NULL, data bytea NOT NULL, PRIMARY KEY (output, run_id, name));
CREATE TABLE IF NOT EXISTS {parts} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, output text NOT NULL, run_id text NOT NULL, path text NOT NULL,
    sha256 text NOT NULL, rows bigint NOT NULL, hive jsonb NOT NULL);
"""
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"


def make(database: Database) -> None:
    """Nothing when they are there. Raises StorageFault."""
    if database.is_ready:
        return
    with database.transaction() as connection:
        if not exists(connection, database, SCORING):
            one_at_a_time(connection, database, SCORING)
            connection.execute(database.sql(_MAKE))
    database.is_ready = True


def exists(connection: Connection, database: Database, name: str) -> bool:
    return oid_of(connection, database, name) is not None


def oid_of(connection: Connection, database: Database, name: str) -> int | None:
    """None: there is no such table."""
    found = connection.execute(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        [database.at.schema, name],
    ).fetchone()
    return None if found is None else int(found[0])


def one_at_a_time(connection: Connection, database: Database, name: str) -> None:
    """Whoever makes this table waits for others who do, to the end of the transaction: IF NOT EXISTS alone does not."""
    connection.execute(_ONE_AT_A_TIME, [f"{database.at.schema}.{name}"])


def staging_of(table: str, run_id: str) -> str:
    return f"_forebay_{hashlib.sha256(f'{table} {run_id}'.encode()).hexdigest()[:24]}_rows"


def rejected_of(table: str, run_id: str) -> str:
    return staging_of(table, run_id).removesuffix("_rows") + "_rejects"
