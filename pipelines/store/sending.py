"""Which rows a broker has to be told of, again: the rules of sweeping that make losing a message cost only time."""

from collections.abc import Sequence

from sqlalchemy import Connection

from pipelines.ports import Message
from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack

# (a) and (b): never sent since it was queued, and due. (c): the lease ended and nothing was sent since.
# (d): unclaimed (queued, or its lease over) for
# resend_after, doubling with every send, although a row sent later was already claimed, or when nothing
# at all was claimed for that long: so that a long backlog is never multiplied.
_PICK = """
SELECT seq, id, generation, inputs, model FROM jobs
WHERE held_until <= {now}
  AND NOT EXISTS (SELECT 1 FROM paused_models p WHERE p.model = jobs.model)
  AND (
        (state = 'queued' AND sent_at IS NULL AND visible_at <= {now})
     OR (state = 'running' AND visible_at <= {now} AND (sent_at IS NULL OR sent_at <= visible_at))
     OR (state IN ('queued', 'running') AND visible_at <= {now} AND sends > 0
         AND sent_at <= {now} - :resend_after * (1 << CASE WHEN sends < 20 THEN sends - 1 ELSE 19 END)
         AND (sent_at < :newest_claimed OR :last_claim <= {now} - :resend_after))
  )
ORDER BY visible_at LIMIT :most {skip_locked}
"""

_HOLD_FIELDS: Fields = (("seq", "int"),)
_HOLD = "UPDATE jobs SET held_until = {now} + :hold FROM {rows} WHERE jobs.seq = v.seq"

# When the newest message that was claimed was sent, and when anything was claimed last: read off running and finished rows.
_CLAIMED = """
SELECT coalesce(max(sent_at), 0) AS newest_claimed, coalesce(max(started_at), 0) AS last_claim
FROM jobs WHERE fence > 0
"""

_STAMP_FIELDS: Fields = (("id", "text"), ("generation", "int"))
_STAMP = """
UPDATE jobs SET sent_at = {now}, sends = sends + 1, held_until = 0 FROM {rows}
WHERE jobs.id = v.id AND jobs.generation = v.generation AND jobs.state IN ('queued', 'running')
  AND (:never_claimed = 0 OR jobs.fence = 0)
"""

_UNHOLD = """
UPDATE jobs SET held_until = 0 FROM {rows}
WHERE jobs.id = v.id AND jobs.generation = v.generation AND jobs.state IN ('queued', 'running')
"""


class Sending:
    db: Database

    def to_send(self, most: int, hold: float, resend_after: float) -> list[Message]:
        def work(connection: Connection) -> list[Message]:
            claimed = self.db.run(connection, _CLAIMED).one()
            picked = self.db.run(
                connection,
                _PICK,
                most=most,
                resend_after=resend_after,
                newest_claimed=claimed.newest_claimed,
                last_claim=claimed.last_claim,
            ).all()
            if picked:
                self.db.run(connection, _HOLD, _HOLD_FIELDS, rows=pack([(row.seq,) for row in picked]), hold=hold)
            return [Message(row.id, row.generation, bytes(row.inputs) or None, row.model) for row in picked]

        return self.db.write(work)

    def stamp_sent(self, messages: Sequence[Message], never_claimed: bool) -> None:
        if not messages:
            return
        rows = pack(sorted((message.id, message.generation) for message in messages))
        self.db.write(
            lambda connection: self.db.run(
                connection, _STAMP, _STAMP_FIELDS, rows=rows, never_claimed=int(never_claimed)
            )
        )

    def unhold(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        rows = pack(sorted((message.id, message.generation) for message in messages))
        self.db.write(lambda connection: self.db.run(connection, _UNHOLD, _STAMP_FIELDS, rows=rows))
