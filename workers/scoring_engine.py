"""The local engine: every part in this process, or in several of them, each with a replica of the model."""

import time
from collections.abc import Callable, Iterator, Sequence

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

    def __init__(self, quick: Engine, guarded: Callable[[], Engine]) -> None:
        self._quick = quick
        self._guarded = guarded

    def score(self, work: Work, numbers: Sequence[int], tell: Tell) -> Iterator[PartDone]:
        engine = self._guarded() if work.killed >= SUSPICIOUS else self._quick
        return engine.score(work, numbers, tell)
