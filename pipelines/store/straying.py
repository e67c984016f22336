"""Strays: what came on a queue and names no job, kept once under its position, as it came."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection

from pipelines.store.database import Database
from schemas.strays import Stray

_KEEP = """
INSERT INTO strays (source, position, raw, key, headers, error, seen_at)
VALUES (:source, :position, :raw, :key, :headers, :error, {now}) ON CONFLICT (source, position) DO NOTHING
"""

_LIST = """
SELECT source, position, raw, error, key, headers, seen_at FROM strays
ORDER BY seen_at DESC, source DESC, position DESC LIMIT :limit
"""

_COUNT = "SELECT count(*) FROM (SELECT 1 FROM strays LIMIT :most) AS found"


class Straying:
    db: Database

    def keep_strays(self, strays: Sequence[Stray]) -> None:
        rows = [{**_row(stray), "skew": self.db.skew} for stray in strays]

        def work(connection: Connection) -> None:
            connection.execute(self.db.sql(_KEEP), rows)

        if rows:
            self.db.write(work)

    def count_strays(self, most: int) -> int:
        return self.db.read(lambda connection: int(self.db.run(connection, _COUNT, most=most).scalar_one()))

    def strays(self, limit: int) -> list[Stray]:
        return self.db.read(lambda connection: [_stray(row) for row in self.db.run(connection, _LIST, limit=limit)])


def _row(stray: Stray) -> dict[str, Any]:
    return {
        "source": stray.source,
        "position": stray.position,
        "raw": stray.raw,
        "key": stray.key,
        "headers": _encoder.encode(stray.headers),
        "error": stray.error,
    }


def _stray(row: Any) -> Stray:
    raw, key = (None if value is None else bytes(value) for value in (row.raw, row.key))
    return Stray(row.source, row.position, raw, row.error, key, _decoder.decode(bytes(row.headers)), row.seen_at)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[tuple[str, bytes | None], ...])
