"""A PostgreSQL that runs, and fresh databases in it."""

import itertools
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Databases:
    """Somebody's running server: it is used, and neither stopped nor changed beyond databases of our own."""

    def __init__(self, url: str) -> None:
        self.url = url
        """`postgresql://user@host:port/postgres`."""
        self._numbers = itertools.count(1)

    def fresh_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"forebay_test_{os.getpid()}_{time.time_ns():x}_{next(self._numbers)}"
        self._run(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        base, _, query = self.url.partition("?")
        return f"{base.rsplit('/', 1)[0]}/{name}" + (f"?{query}" if query else "")

    def drop(self, url: str) -> None:
        """Remove a database that `fresh_database` made; whoever is still connected is thrown out."""
        name = conninfo_to_dict(url)["dbname"]
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(str(name))))

    @contextmanager
    def database(self) -> Iterator[str]:
        url = self.fresh_database()
        try:
            yield url
        finally:
            self.drop(url)

    def ping(self) -> None:
        """Raises psycopg.OperationalError when nobody answers."""
        self._run(sql.SQL("SELECT 1"))

    def _run(self, statement: sql.SQL | sql.Composed) -> None:
        connection = psycopg.connect(make_conninfo(self.url, connect_timeout=5), autocommit=True)
        with connection:
            connection.execute(statement)
