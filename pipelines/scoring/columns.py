"""From columns of a data set to a model's inputs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from msgspec import Struct

from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput
from pipelines.scoring.arrays import array_of
from pipelines.scoring.faults import BadInput, BadOrder
from pipelines.scoring.few import few
from pipelines.scoring.fields import Ambiguous, Path, column, find, nearest
from pipelines.scoring.fitting import is_side_by_side, misfit
from pipelines.scoring.numbers import Fine, both
from pipelines.scoring.rows import Each, Rows, Stacked
from pipelines.scoring.single import Single, row_values
from pipelines.scoring.stacking import nested, side_by_side
from pipelines.scoring.values import NotText
from schemas.model_spec import ModelSpec, TensorSpec

_TOLD = 8
"""Columns that one message names."""


class _Input(Struct, frozen=True):
    """One input, and where it is read from."""

    spec: TensorSpec
    columns: Sequence[str]
    single: Single | None
    """For what has no fixed shape of numbers."""


class _Given(Struct, frozen=True):
    """One input's columns of one batch."""

    arrays: Sequence[pa.Array]
    beside: bool

    def taken(self, rows: pa.Array) -> "_Given":
        return _Given([array.take(rows) for array in self.arrays], self.beside)


class ColumnReader:
    """Of one model. Immutable once made; safe from any thread."""

    def __init__(self, spec: ModelSpec, mapping: Mapping[str, Sequence[str]], each: bool) -> None:
        """`mapping`: columns by input; what it leaves out is as model.yaml says. `each`: the model takes rows one by one,
        since it has code of its own for each. Models with strings or varying shapes do so anyway. Raises BadOrder."""
        try:
            columns = spec.columns_by_input(mapping)
        except ValueError as fault:
            raise BadOrder(f"model {spec.name}: {fault}") from None
        self._inputs = [
            _Input(tensor, columns[tensor.name], None if _is_columnar(tensor) else Single(tensor))
            for tensor in spec.inputs
        ]
        self._each = each or any(one.single is not None for one in self._inputs)
        self._codec = InputCodec(spec)
        self.names: tuple[str, ...] = tuple(dict.fromkeys(name for one in self._inputs for name in one.columns))
        """Columns to project, each once; those of nested fields with dots, as pyarrow.parquet takes them."""

    def check(self, schema: pa.Schema) -> None:
        """Raises BadInput that names the columns that are missing, or whose type does not fit."""
        self._found(schema)

    def rows(self, batch: pa.RecordBatch) -> Rows:
        """The model's inputs. A row that does not fit is told with online's text for its values, and its neighbours are
        what they are without it. Raises BadInput as `check` does."""
        found = self._found(batch.schema)
        given = [
            _Given([column(batch, path) for path, _ in places], is_side_by_side(one.spec, [kind for _, kind in places]))
            for one, places in zip(self._inputs, found, strict=True)
        ]
        taken: list[Any] = []
        fine: Fine = None
        for one, columns in zip(self._inputs, given, strict=True):
            tensors, which = _tensors(one, columns)
            taken.append(tensors)
            fine = both(fine, which)
        good = None if fine is None else np.flatnonzero(fine)
        bad = {} if fine is None else self._refused(given, np.flatnonzero(~fine))
        return Rows(self._given(taken, batch.num_rows, good), good, bad)

    def _given(self, taken: Sequence[Any], rows: int, good: np.ndarray | None) -> Stacked | Each:
        names = [one.spec.name for one in self._inputs]
        if self._each:
            items = zip(*[_cut(tensors, good) for tensors in taken], strict=True)
            return Each([dict(zip(names, item, strict=True)) for item in items])
        if good is None:
            return Stacked(dict(zip(names, taken, strict=True)), rows)
        return Stacked({name: tensors[good] for name, tensors in zip(names, taken, strict=True)}, len(good))

    def _found(self, schema: pa.Schema) -> list[list[tuple[Path, pa.DataType]]]:
        """Where each input's columns are."""
        faults: list[str] = []
        found = [[_look(schema, one, name, faults) for name in one.columns] for one in self._inputs]
        if faults:
            raise BadInput(f"columns that do not fit the model: {few(faults, _TOLD)}")
        return found  # type: ignore[return-value]  # None comes with a fault

    def _refused(self, given: Sequence[_Given], places: np.ndarray) -> dict[int, InvalidInput]:
        """Why, by place."""
        rows = array_of(places)
        values = [row_values(columns.arrays, columns.beside) for columns in (each.taken(rows) for each in given)]
        return {int(place): self._refusal(row) for place, row in zip(places, zip(*values, strict=True), strict=True)}

    def _refusal(self, values: Sequence[Any]) -> InvalidInput:
        by_name = {one.spec.name: value for one, value in zip(self._inputs, values, strict=True)}
        for name, value in by_name.items():
            if isinstance(value, NotText) or (isinstance(value, list) and any(isinstance(v, NotText) for v in value)):
                return InvalidInput(f"inputs.{name}: not UTF-8, expected string")
        try:
            self._codec.convert(by_name)
        except InvalidInput as refusal:
            return refusal.with_traceback(None)  # which would keep the row
        # Never seen, and tested against: that the two ways disagree must not end a run of millions.
        return InvalidInput("inputs: do not fit the model when read from columns")


def _is_columnar(spec: TensorSpec) -> bool:
    return -1 not in spec.shape and spec.dtype != "string"


def _look(schema: pa.Schema, one: _Input, name: str, faults: list[str]) -> tuple[Path, pa.DataType] | None:
    """Says in `faults` what is wrong with it."""
    wanted = f"for inputs.{one.spec.name}"
    try:
        found = find(schema, name)
    except Ambiguous:
        faults.append(f"{name}: several columns have this name")
        return None
    if found is None:
        faults.append(f"{name}: missing {wanted} ({nearest(schema, name)})")
        return None
    expected = misfit(one.spec, found[1], alone=len(one.columns) == 1)
    if expected is not None:
        faults.append(f"{name}: {found[1]}, expected {expected} {wanted}")
    return found


def _tensors(one: _Input, given: _Given) -> tuple[Any, Fine]:
    """A tensor with a batch dimension, or a list of tensors; of all rows."""
    if one.single is not None:
        return one.single.tensors(given.arrays, given.beside)
    if given.beside:
        return side_by_side(given.arrays, one.spec)
    return nested(given.arrays[0], one.spec)


def _cut(tensors: Any, good: np.ndarray | None) -> Iterable[np.ndarray]:
    """Row by row, the good ones."""
    if isinstance(tensors, list):
        return tensors if good is None else [tensors[place] for place in good]
    fit = tensors if good is None else tensors[good]
    return [fit[place, ...] for place in range(len(fit))]  # iterating would give scalars, not tensors, of one dimension
