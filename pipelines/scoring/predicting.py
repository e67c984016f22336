"""A batch of rows to a batch of answers: the quick way for what is well, and for the rest what the stream lane does."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import pyarrow as pa
from msgspec import Struct

from pipelines.flow.in_place import Refused, Runner
from pipelines.flow.served import Served
from pipelines.ports import Tensors
from pipelines.scoring.answers import AnswerWriter
from pipelines.scoring.arrays import array_of
from pipelines.scoring.columns import ColumnReader
from pipelines.scoring.placed import Placed
from pipelines.scoring.rows import Each, Rows, Stacked
from pipelines.scoring.suspects import Announce, Suspects
from schemas.reasons import Reason

PATIENCE_S = 3600.0
"""For retries in place: the model's own limits end them."""


class Scored(Served[Tensors, Tensors], Protocol):
    """A model whose inputs and answers are tensors, by name."""

    columnar: bool
    """Whether rows may come stacked: no code of its own for each, and fixed shapes."""

    def predict_batch(self, batch: Tensors) -> Tensors:
        """See `pipelines.ports.Model`."""
        ...


_ENDINGS = {
    Reason.CRASHED: "it takes its process down with it",
    Reason.TIMEOUT: "the model runs longer than limits.timeout_s for it",
}


class Reject(Struct, frozen=True):
    file: int
    row: int
    reason: Reason
    error: str
    attempts: int


class Answered(Struct, frozen=True):
    """A record batch that is scored."""

    read: int
    output: pa.RecordBatch
    """Kept columns, and the model's outputs: rows that were answered, in order."""
    rejects: Sequence[Reject]


class Stopped(Exception):
    """Whoever is told of progress wants no more."""


class Predictor:
    """Called by one thread."""

    def __init__(
        self, model: Scored, columns: ColumnReader, answers: AnswerWriter, kept: Sequence[str],
        chance: random.Random, sleep: Callable[[float], None],
    ) -> None:  # fmt: skip
        self._model = model
        self._columns = columns
        self._answers = answers
        self._kept = list(kept)
        self._runner: Runner[Tensors, Tensors] = Runner(model, chance, sleep)
        self._stopped: Callable[[], bool] = lambda: False
        self.schema_names = [*self._kept, *answers.schema.names]

    def answers(
        self, batches: Iterable[Placed], suspects: Suspects, announce: Announce, stopped: Callable[[], bool]
    ) -> Iterator[Answered]:
        """`announce`: told before each batch, and before each row of a suspect one. Raises Stopped, within a batch too, once
        `stopped`."""
        self._stopped = stopped
        for number, batch in enumerate(batches):
            announce(number, None)
            if number in suspects.careful:
                culprits = {row: reason for (at, row), reason in suspects.culprits.items() if at == number}
                yield self._carefully(batch, culprits, lambda row, number=number: announce(number, row))  # type: ignore[misc]
            else:
                yield self._answered(batch)

    def _answered(self, given: Placed) -> Answered:
        rows = self._columns.rows(given.batch)
        arrays, refused = self._run(rows.given)
        return self._together(given, rows, arrays, refused)

    def _carefully(self, given: Placed, culprits: Mapping[int, Reason], announce: Callable[[int], None]) -> Answered:
        """Row by row: what ends the process is known then."""
        rows = self._columns.rows(given.batch)
        places = _places(given, rows)
        found: list[Tensors | Refused] = []
        for place, item in zip(places, _items(rows.given, 0, rows.given.count), strict=True):
            if int(place) in culprits:
                reason = culprits[int(place)]
                found.append(Refused(reason, _ENDINGS[reason], 1))
                continue
            announce(int(place))
            self._check()
            found += self._runner.run([item], lambda: PATIENCE_S, alone=True)
        return self._together(given, rows, *self._sorted_out(found))

    def _together(self, given: Placed, rows: Rows, arrays: list[pa.Array], refused: Mapping[int, Refused]) -> Answered:
        batch, places = given.batch, _places(given, rows)
        rejects = [(place, Refused(Reason.INVALID_INPUT, str(why), 1)) for place, why in rows.bad.items()]
        rejects += [(int(places[place]), why) for place, why in refused.items()]
        kept = batch.select(self._kept)
        if rejects:
            kept = kept.take(array_of(np.delete(np.arange(batch.num_rows), [place for place, _ in rejects])))
        output = pa.RecordBatch.from_arrays([*kept.columns, *arrays], self.schema_names)
        return Answered(batch.num_rows, output, _rejected(given, rejects))

    def _run(self, given: Stacked | Each) -> tuple[list[pa.Array], dict[int, Refused]]:
        """Columns of the answers, and by place those that there are none for."""
        if isinstance(given, Each) or not given.count:
            return self._slowly(given, 0, given.count)
        most = self._model.batching.max_batch_size
        quick = [self._quickly(given, start, start + most) for start in range(0, given.count, most)]
        arrays = self._stacked(quick, given.count)
        if arrays is not None:
            return arrays, {}
        # The slow way is for those batches alone that something is off with.
        found: list[list[pa.Array]] = []
        refused: dict[int, Refused] = {}
        for start, answer in zip(range(0, given.count, most), quick, strict=True):
            end = min(start + most, given.count)
            arrays = self._stacked([answer], end - start)
            if arrays is None:
                arrays, why = self._slowly(given, start, end)
                refused |= {start + place: each for place, each in why.items()}
            found.append(arrays)
        return [pa.concat_arrays(pieces) for pieces in zip(*found, strict=True)], refused

    def _slowly(self, given: Stacked | Each, start: int, end: int) -> tuple[list[pa.Array], dict[int, Refused]]:
        """Places count from `start`."""
        found: list[Tensors | Refused] = []
        most = self._model.batching.max_batch_size
        for first in range(start, end, most):
            self._check()
            found += self._runner.run(_items(given, first, min(first + most, end)), lambda: PATIENCE_S)
        return self._sorted_out(found)

    def _sorted_out(self, found: Sequence[Tensors | Refused]) -> tuple[list[pa.Array], dict[int, Refused]]:
        refused = {place: each for place, each in enumerate(found) if isinstance(each, Refused)}
        return self._answers.columns([each for each in found if not isinstance(each, Refused)]), refused

    def _quickly(self, given: Stacked, start: int, end: int) -> Tensors | None:
        """None when the model did not take them as they are: one by one it is found whose fault it is."""
        self._check()
        try:
            return self._model.predict_batch({name: tensor[start:end] for name, tensor in given.tensors.items()})
        except Exception:  # noqa: BLE001  # the slow way finds the verdict
            return None

    def _check(self) -> None:
        if self._stopped():
            raise Stopped

    def _stacked(self, answers: Sequence[Tensors | None], rows: int) -> list[pa.Array] | None:
        """None when anything is off."""
        there = [answer for answer in answers if answer is not None]
        if len(there) < len(answers):
            return None
        try:
            joined = there[0] if len(there) == 1 else {n: np.concatenate([a[n] for a in there]) for n in there[0]}
        except (KeyError, ValueError, TypeError):  # answers that do not go together
            return None
        return self._answers.stacked(joined, rows)


def _places(given: Placed, rows: Rows) -> np.ndarray:
    """Of the good rows, in the batch."""
    return np.arange(given.count) if rows.good is None else rows.good


def _items(given: Stacked | Each, start: int, end: int) -> list[Tensors]:
    if isinstance(given, Each):
        return list(given.items[start:end])
    return [{name: tensor[place] for name, tensor in given.tensors.items()} for place in range(start, end)]


def _rejected(given: Placed, rejects: Sequence[tuple[int, Refused]]) -> list[Reject]:
    return [
        Reject(int(given.files[place]), int(given.rows[place]), why.reason, why.error, why.attempts)
        for place, why in sorted(rejects, key=lambda each: each[0])
    ]
