"""Rows that may take their process down with them: batches that were running when one ended, and rows that did it."""

from collections.abc import Callable, Mapping

from msgspec import Struct

from pipelines.scoring.faults import ScoreFault
from schemas.reasons import Reason

Announce = Callable[[int, int | None], None]
"""Told before it runs: a batch of the part, and with careful ones each row of it."""


class Suspects(Struct, frozen=True):
    """Of one part. A batch that was running when its process ended is run again row by row; the row that then ends another
    one is rejected."""

    careful: frozenset[int] = frozenset()
    """Batches of the part, by place."""
    culprits: Mapping[tuple[int, int], Reason] = {}
    """Rows that a process ended with, by batch and place in it: CRASHED, or TIMEOUT."""
    ends: int = 0
    """How often a process ended in this part."""

    def after(
        self, running: tuple[int, int | None] | None, most: int, part: int, how: str, reason: Reason
    ) -> "Suspects":
        """What to be careful with next time. `running`: what was announced last; `reason`: for a row that did it. Raises
        ScoreFault when the process ends where nothing runs, or too often."""
        told = f"part {part}: its process ended {how}"
        if running is None:
            if self.ends:
                raise ScoreFault(f"{told}, twice, before any row ran: is there memory enough for --workers?")
            return Suspects(self.careful, self.culprits, self.ends + 1)
        if self.ends >= most:
            raise ScoreFault(f"{told}, the {self.ends + 1}th time: it is the model or the machine, not a row")
        batch, row = running
        if row is None:
            return Suspects(self.careful | {batch}, self.culprits, self.ends + 1)
        return Suspects(self.careful, {**self.culprits, (batch, row): reason}, self.ends + 1)
