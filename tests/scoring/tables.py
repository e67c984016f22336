"""Outputs in PostgreSQL, as their readers find them."""

from typing import Any, LiteralString

import psycopg

from tests.scoring.ground import Ended, Ground


def rows(url: str, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(statement, values).fetchall()


def execute(url: str, statement: LiteralString) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def names(url: str) -> list[str]:
    """Of all tables, without those that stay."""
    found = rows(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [name for (name,) in found if not name.startswith("_forebay_scoring")]


def refused(on: Ground, *more: str) -> str:
    """The one line that says why."""
    ended: Ended = on.score(*more)
    assert ended.code == 1, ended
    assert ended.said.count("\n") == 1, ended.said
    return ended.said
