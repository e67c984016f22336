"""From an order and a data set to what scores its parts. Here everything is held against everything, before any row is read."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from msgspec import Struct

from pipelines.scoring.answers import AnswerWriter
from pipelines.scoring.columns import ColumnReader
from pipelines.scoring.dataset import DataSet, one_line
from pipelines.scoring.faults import BadInput, BadOrder
from pipelines.scoring.fields import nearest
from pipelines.scoring.hive import Partitions
from pipelines.scoring.part import PartScorer
from pipelines.scoring.predicting import Predictor, Scored
from pipelines.scoring.reading import Reader, Wanted
from pipelines.scoring.sizing import rows_at_once
from pipelines.scoring.storage.port import Parts
from pipelines.scoring.timing import Timed
from schemas.model_spec import ModelSpec
from schemas.scoring import InputFile, Order


class Assembly(Struct, frozen=True):
    """What an order means for this data set and this model."""

    order: Order
    columns: ColumnReader
    answers: AnswerWriter
    partitions: Partitions
    wanted: Wanted
    read: pa.Schema
    """Of all files together, with their partitions: what --where may name."""
    schema: pa.Schema
    """Of the output."""

    def scorer(
        self, data: DataSet, files: Sequence[InputFile], model: Scored, parts: Parts, sleep: Callable[[float], None]
    ) -> PartScorer:
        reader = Reader(data, files, self.partitions, self.wanted, self.order.skip_corrupt)
        kept = [field.name for field in self.wanted.kept]
        timed = Timed(model)
        predictor = Predictor(timed, self.columns, self.answers, kept, random.Random(), sleep)
        return PartScorer(self.order.run_id, tuple(files), reader, predictor, self.schema, parts, timed.check)


def assemble(order: Order, spec: ModelSpec, each: bool, data: DataSet) -> Assembly:
    """Raises BadOrder, and BadInput with the file and its columns."""
    columns = ColumnReader(spec, order.columns, each)
    answers = AnswerWriter(spec)
    partitions = data.partitions
    needed = {name.split(".")[0] for name in _needed(order, columns)}
    schemas = {path: _with_partitions(data.schema(path), partitions) for path in sorted(data.footers)}
    for path, schema in schemas.items():
        try:
            columns.check(schema)
        except BadInput as bad:
            raise BadInput(f"{data.files.name}: {path}: {bad}") from None
    read = _unified(data, schemas, needed)
    kept = tuple(_kept(order, read, answers, empty=not schemas))
    where = None if order.where is None else _filter(order.where, read)
    rows = rows_at_once(data.footers.values(), needed, spec.batching.max_batch_size)
    wanted = Wanted(tuple(_needed(order, columns)), kept, where, rows)
    return Assembly(order, columns, answers, partitions, wanted, read, pa.schema([*kept, *answers.schema]))


def _needed(order: Order, columns: ColumnReader) -> Iterable[str]:
    where = () if order.where is None else _filtered_by(order.where)
    return dict.fromkeys([*columns.names, *order.passthrough, *where])


def _filtered_by(where: str) -> Iterable[str]:
    from pipelines.scoring.where import columns_of  # only now: the parser's import costs as much as a million rows

    return columns_of(where)


def _filter(where: str, schema: pa.Schema) -> Any:
    from pipelines.scoring.where import parse

    return parse(where, schema)


def _with_partitions(schema: pa.Schema, partitions: Partitions) -> pa.Schema:
    for name, kind in partitions.types.items():
        place = schema.get_field_index(name)
        if place >= 0:  # in the file as well: the folder says it
            schema = schema.remove(place)
        schema = schema.append(pa.field(name, kind))
    return schema


def _unified(data: DataSet, schemas: Mapping[str, pa.Schema], needed: set[str]) -> pa.Schema:
    """Of the columns that are needed; the others may differ from file to file as they like."""
    found = pa.schema([])
    for path, schema in schemas.items():
        own = pa.schema([field for field in schema if field.name in needed]).remove_metadata()
        try:
            found = pa.unify_schemas([found, own], promote_options="permissive")
        except (pa.ArrowException, TypeError) as fault:
            raise BadInput(
                f"{data.files.name}: {path}: its columns are of other types than those of the files before: {one_line(fault)}"
            ) from None
    return found


def _kept(order: Order, read: pa.Schema, answers: AnswerWriter, empty: bool) -> Iterable[pa.Field]:
    taken: set[str] = set(answers.schema.names)
    for name in order.passthrough:
        if name in taken:
            raise BadOrder(f"--passthrough {name}: this is an output of the model, or named twice")
        taken.add(name)
        if empty:
            yield pa.field(name, pa.string())
            continue
        if read.get_field_index(name) < 0:
            raise BadOrder(f"--passthrough {name}: no such column ({nearest(read, name)})")
        yield read.field(name).remove_metadata()
