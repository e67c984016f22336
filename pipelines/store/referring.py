"""The store's side of the claim check: which payloads rows name, and whose payloads they are."""

from collections.abc import Sequence

from pipelines.payloads.keys import row_of
from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack

_FIELDS: Fields = (("ref", "text"), ("seq", "int"))

# A worker that was frozen after it put its result may still record it while the job is open.
_NAMED = """
SELECT v.ref FROM {rows}
WHERE EXISTS (SELECT 1 FROM jobs j WHERE j.inputs_ref = v.ref)
   OR EXISTS (SELECT 1 FROM jobs j WHERE j.seq = v.seq AND (j.result_ref = v.ref OR j.state IN ('queued', 'running')))
   OR EXISTS (SELECT 1 FROM replays r WHERE r.inputs_before_ref = v.ref)
"""


class Referring:
    db: Database

    def unnamed(self, refs: Sequence[str]) -> list[str]:
        if not refs:
            return []
        rows = pack([(ref, row_of(ref)) for ref in refs])
        named = self.db.read(
            lambda connection: {row.ref for row in self.db.run(connection, _NAMED, _FIELDS, rows=rows)}
        )
        return [ref for ref in refs if ref not in named]

    def identity(self) -> str:
        sql = "SELECT identity FROM store_level WHERE one = 1"
        return str(self.db.read(lambda connection: self.db.run(connection, sql).scalar_one()))
