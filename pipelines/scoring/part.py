"""One part, from its row groups to its file: reading, running and writing at the same time."""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from threading import Event

import pyarrow as pa
from msgspec import Struct

from pipelines.scoring.overlap import ahead, well
from pipelines.scoring.predicting import Answered, Predictor, Reject
from pipelines.scoring.predicting import Stopped as Stopped
from pipelines.scoring.reading import Reader
from pipelines.scoring.rejecting import write_rejects
from pipelines.scoring.storage.port import Parts
from pipelines.scoring.suspects import Announce, Suspects
from pipelines.scoring.writing import ParquetFile
from schemas.scoring import InputFile, PartDone, PartPlan

DEPTH = 2
"""Batches that may wait between two steps: enough that none waits for the other, and few in memory."""

Tell = Callable[[int, int], bool]
"""Told rows read and rows rejected since it was told last; False: stop."""


NONE = Suspects()


def nobody(batch: int, row: int | None) -> None:
    """Nobody wants to know what runs."""


class PartScorer(Struct, frozen=True):
    """What it takes to score any part of a plan."""

    run_id: str
    files: tuple[InputFile, ...]
    reader: Reader
    predictor: Predictor
    schema: pa.Schema
    """Of the output."""
    parts: Parts
    check: Callable[[], None] = well
    """Called now and then while the model runs; what it raises ends the part."""

    def score(self, part: PartPlan, tell: Tell, suspects: Suspects = NONE, announce: Announce = nobody) -> PartDone:
        """The first part gets a file though no row of it was answered: an output without any would have no columns. Raises
        ScoreFault, Stopped."""
        began = time.monotonic()
        path = path_of(self.run_id, part)
        file = ParquetFile(self.parts, path, self.schema)
        try:
            batches = ahead(self.reader.batches(part), DEPTH, "forebay-reading")
            stop = Event()
            running = self.predictor.answers(batches, suspects, announce, stop.is_set)
            answers = ahead(running, DEPTH, "forebay-running", lambda: _ask(tell, stop), self.check)
            with closing(answers):
                try:
                    read, rejects = _write(answers, file, tell)
                finally:
                    stop.set()  # before it is closed, which waits for the batch that is running
            stored = file.finish(even_empty=part.number == 0)
            rejected = write_rejects(self.parts, path, rejects, self.reader, self.files)
        except BaseException:
            file.discard()
            raise
        return PartDone(part.number, stored, rejected, read, time.monotonic() - began, tuple(self.reader.skipped))


def _write(answers: Iterable[Answered], file: ParquetFile, tell: Tell) -> tuple[int, list[Reject]]:
    read = 0
    rejects: list[Reject] = []
    for answered in answers:
        file.write(answered.output)
        rejects += answered.rejects
        read += answered.read
        if not tell(answered.read, len(answered.rejects)):
            raise Stopped
    return read, rejects


def _ask(tell: Tell, stop: Event) -> None:
    """While a slow model is at a batch: a run that is stopped does not wait for its end."""
    if not tell(0, 0):
        stop.set()
        raise Stopped


def path_of(run_id: str, part: PartPlan) -> str:
    name = f"part-{part.number:05d}-{run_id}.parquet"
    return f"{part.folder}/{name}" if part.folder else name
