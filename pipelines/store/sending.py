"""Which rows a broker has to be told of, again: the rules of sweeping that make losing a message cost only time."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from pipelines.ports import Message
from pipelines.store.database import Database
from pipelines.store.dialect import Fields, pack
from pipelines.store.guards import OPEN, UNSTAMPED, guard

_FREE = """held_until <= {now} AND visible_at <= {now}
  AND NOT EXISTS (SELECT 1 FROM paused_models p WHERE p.model = jobs.model)"""

# Each rule by an index of its own, so that a sweep costs the same however long the backlog is.
# (a) and (b): never sent since it was queued, and due. (c): the lease ended and nothing was sent since. (d): unclaimed (queued,
# or its lease over) for resend_after, doubling with every send, although a row sent later was already claimed, or when nothing
# at all was claimed for that long: so that a long backlog is never multiplied.
_RULES = (
    f"SELECT seq FROM jobs WHERE state = 'queued' AND sent_at IS NULL AND {_FREE} ORDER BY visible_at LIMIT :most",
    f"""SELECT seq FROM jobs WHERE state = 'running' AND (sent_at IS NULL OR sent_at <= visible_at) AND {_FREE}
    ORDER BY visible_at LIMIT :most""",
    f"""SELECT seq FROM jobs WHERE state IN ('queued', 'running') AND sends > 0
    AND sent_at <= {{now}} - :resend_after
    AND sent_at < CASE WHEN :last_claim <= {{now}} - :resend_after THEN 1e18 ELSE :newest_claimed END
    AND sent_at <= {{now}} - :resend_after * (1 << CASE WHEN sends < 20 THEN sends - 1 ELSE 19 END) AND {_FREE}
    ORDER BY sent_at LIMIT :most""",
)
_FOUND = " UNION ".join(f"SELECT seq FROM ({rule}) AS rule_{place}" for place, rule in enumerate(_RULES))
_ANY = f"SELECT seq FROM ({_FOUND}) AS found LIMIT 1"
_PICK = f"""
SELECT seq, id, generation, inputs, model, traceparent, fence FROM jobs WHERE seq IN ({_FOUND}) AND held_until <= {{now}}
ORDER BY visible_at LIMIT :most {{skip_locked}}
"""

_HOLD_FIELDS: Fields = (("seq", "int"),)
_HOLD = "UPDATE jobs SET held_until = {now} + :hold FROM {rows} WHERE jobs.seq = v.seq"

# When the newest message that was claimed was sent, and when anything was claimed last: read off what runs and what ended
# last. A row that was claimed before its stamp was sent after it was queued. All are estimates from below, so that what errs
# is the patience of rule (d).
_RECENT = 500
_SENT = "coalesce(sent_at, queued_at) AS sent_at, started_at"
_ENDED = f"""SELECT sent_at, started_at FROM (SELECT {_SENT} FROM jobs WHERE state = '{{state}}'
    AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT {_RECENT}) AS {{state}}"""
_CLAIMED = f"""
SELECT coalesce(max(sent_at), 0) AS newest_claimed, coalesce(max(started_at), 0) AS last_claim
FROM (SELECT {_SENT} FROM jobs WHERE state = 'running'
      UNION ALL {_ENDED.format(state="succeeded")} UNION ALL {_ENDED.format(state="failed")}) AS claimed
"""

# The fence: a worker may have claimed the row, and put it back for a retry, before its message's confirmation came through. A
# stamp would then take the retry for sent, and nobody would send it for resend_after.
_STAMP_FIELDS: Fields = (("id", "text"), ("generation", "int"), ("fence", "int"))
_SAME = f"jobs.generation = v.generation AND jobs.fence = v.fence AND jobs.held_until <> {UNSTAMPED} AND {OPEN}"
_STAMP = f"""
UPDATE jobs SET sent_at = {{now}}, sends = sends + 1, held_until = 0 FROM {{named}} WHERE {{is_named:jobs}} AND {guard(_SAME)}
"""

_UNHOLD_FIELDS: Fields = (("id", "text"), ("generation", "int"))
_UNHOLD = f"""
UPDATE jobs SET held_until = 0 FROM {{named}}
WHERE {{is_named:jobs}} AND {guard(f"jobs.generation = v.generation AND {OPEN}")}
"""


# Whoever queues a row with a broker leaves `sent_at` empty, and whoever sends it counts that.
_NEVER_SENT = "state = 'queued' AND sends = 0 AND sent_at IS NOT NULL"
_ANY_NEVER_SENT = f"SELECT 1 FROM jobs WHERE {_NEVER_SENT} LIMIT 1"

# By ix_jobs_sent; what is sent again meanwhile has a later stamp.
_LOST = """state IN ('queued', 'running') AND sends > 0 AND sent_at <= :until AND state = 'queued'
    AND model IN (SELECT value FROM {models})"""

_AT_ONCE = 1000


def _unsent(which: str) -> str:
    """So many of these count as not sent."""
    return f"""UPDATE jobs SET sent_at = NULL
    WHERE seq IN (SELECT seq FROM jobs WHERE {which} ORDER BY seq LIMIT :most {{skip_locked}}) AND {which}"""


_ADOPT, _UNSEND = _unsent(_NEVER_SENT), _unsent(_LOST)


class Sending:
    db: Database
    broker: bool

    def to_send(self, most: int, hold: float, resend_after: float) -> list[Message]:
        claimed = self.db.read(lambda connection: self.db.run(connection, _CLAIMED).one())
        values = {
            "most": most,
            "resend_after": resend_after,
            "newest_claimed": claimed.newest_claimed,
            "last_claim": claimed.last_claim,
        }

        def work(connection: Connection) -> list[Message]:
            picked = self.db.run(connection, _PICK, **values).all()
            if picked:
                self.db.run(connection, _HOLD, _HOLD_FIELDS, rows=pack([(row.seq,) for row in picked]), hold=hold)
            return [
                Message(row.id, row.generation, bytes(row.inputs) or None, row.model, row.traceparent, fence=row.fence)
                for row in picked
            ]

        # Mostly there is nothing, and then nobody's write has to wait.
        found = self.db.read(lambda connection: self.db.run(connection, _ANY, **values).first())
        return [] if found is None else self.db.write(work)

    def adopt(self) -> int:
        if not self.broker or self.db.read(lambda connection: self.db.run(connection, _ANY_NEVER_SENT).first()) is None:
            return 0
        return self._in_chunks(_ADOPT, {})

    def unsend(self, models: Sequence[str]) -> int:
        if not self.broker or not models:
            return 0
        until = self.db.read(lambda connection: self.db.run(connection, "SELECT {now} AS now").scalar_one())
        return self._in_chunks(_UNSEND, {"models": pack(models), "until": until})

    def _in_chunks(self, statement: str, values: Mapping[str, Any]) -> int:
        """A transaction for each chunk, until none is left; how many rows."""
        total = 0
        while found := self.db.write(lambda c: self.db.run(c, statement, **values, most=_AT_ONCE).rowcount):
            total += found
        return total

    def stamp_sent(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        rows = pack(sorted((message.id, message.generation, message.fence) for message in messages))

        def work(connection: Connection) -> None:
            self.db.never_mind(connection)
            self.db.run(connection, _STAMP, _STAMP_FIELDS, rows=rows)

        self.db.write(work)

    def unhold(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        rows = pack(sorted((message.id, message.generation) for message in messages))
        self.db.write(lambda connection: self.db.run(connection, _UNHOLD, _UNHOLD_FIELDS, rows=rows))
