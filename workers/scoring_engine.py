"""The local engine: every part in this process, or in several of them, each with a replica of the model."""

import time
from collections.abc import Callable, Iterator, Sequence

from pipelines.scoring.faults import Hung
from pipelines.scoring.part import Tell
from pipelines.scoring.predicting import Scored
from pipelines.scoring.run import Engine, Work
from schemas.scoring import PartDone

SUSPICIOUS = 2
"""Attempts in a row that were killed in the same part: from then on a process of its own runs the model."""


class InProcess:
    """See `pipelines.scoring.run.Engine`. Reading, running and writing overlap."""

    def __init__(self, model: Scored) -> None:
        self._model = model

    def score(self, work: Work, numbers: Sequence[int], tell: Tell) -> Iterator[PartDone]:
        scorer = work.assembly.scorer(work.data, work.plan.files, self._model, work.parts, time.sleep)
        for number in numbers:
            yield scorer.score(work.plan.parts[number], tell)


class Local:
    """The quick way while all is well; a way that outlives its model's process where that was killed again and again."""

    def __init__(self, quick: Engine, guarded: Callable[[], Engine], say: Callable[[str], None]) -> None:
        self._quick = quick
        self._guarded = guarded
        self._say = say

    def score(self, work: Work, numbers: Sequence[int], tell: Tell) -> Iterator[PartDone]:
        left, moved = list(numbers), Moved(tell)
        if work.killed < SUSPICIOUS:
            try:
                for done in self._quick.score(work, tuple(left), moved):
                    left.remove(done.number)
                    moved.keep()
                    yield done
                return
            except Hung as hung:  # that thread is left to itself: Python cannot stop it
                self._say(f"{hung}; going on with a process for the model that can be stopped")
                moved.take_back()
        yield from self._guarded().score(work, left, tell)


class Moved:
    """What was told of a part that is not done yet."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._rows = self._rejected = 0

    def __call__(self, rows: int, rejected: int) -> bool:
        self._rows += rows
        self._rejected += rejected
        return self._tell(rows, rejected)

    def keep(self) -> None:
        self._rows = self._rejected = 0

    def take_back(self) -> None:
        self._tell(-self._rows, -self._rejected)
        self.keep()
