"""The local engine: every part in this process, or in several of them, each with a replica of the model."""

import time
from collections.abc import Iterator, Sequence

from pipelines.scoring.part import Tell
from pipelines.scoring.predicting import Scored
from pipelines.scoring.run import Work
from schemas.scoring import PartDone


class InProcess:
    """See `pipelines.scoring.run.Engine`. Reading, running and writing overlap."""

    def __init__(self, model: Scored) -> None:
        self._model = model

    def score(self, work: Work, numbers: Sequence[int], tell: Tell) -> Iterator[PartDone]:
        scorer = work.assembly.scorer(work.data, work.plan.files, self._model, work.parts, time.sleep)
        for number in numbers:
            yield scorer.score(work.plan.parts[number], tell, even_empty=number == work.even_empty)
