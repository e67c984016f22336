"""From an order and a data set to what scores its parts. Here everything is held against everything, before any row is read."""

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import pyarrow as pa
from msgspec import Struct

from pipelines.scoring.answers import AnswerWriter
from pipelines.scoring.columns import ColumnReader
from pipelines.scoring.dataset import DataSet
from pipelines.scoring.faults import BadInput, BadOrder
from pipelines.scoring.fields import Ambiguous, nearest
from pipelines.scoring.filtering import Filter, columns_of
from pipelines.scoring.hive import Partitions
from pipelines.scoring.kinds import Apart, common
from pipelines.scoring.part import PartScorer
from pipelines.scoring.predicting import Predictor, Scored
from pipelines.scoring.reading import Reader, Wanted
from pipelines.scoring.sizing import heads, rows_at_once
from pipelines.scoring.sources import kinds_in, sources, with_partitions
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
    names = tuple(dict.fromkeys([*columns.names, *order.passthrough, *columns_of(order.where)]))
    schemas = _schemas(data, partitions)
    for path, schema in schemas.items():
        try:
            columns.check(schema)
        except BadInput as bad:
            raise BadInput(f"{data.files.name}: {path}: {bad}") from None
    kept = tuple(_kept(order, schemas.values(), answers))
    where = _filter(order.where, data, schemas)
    rows = rows_at_once(data.footers.values(), heads(names), spec.batching.max_batch_size)
    schema = pa.schema([*kept, *answers.schema])
    return Assembly(order, columns, answers, partitions, Wanted(names, kept, where, rows), schema)


def _schemas(data: DataSet, partitions: Partitions) -> dict[str, pa.Schema]:
    """Each once, by the first file that has it: most data sets have one."""
    found: dict[pa.Schema, str] = {}
    for path in sorted(data.footers):
        found.setdefault(with_partitions(data.schema(path).remove_metadata(), partitions), path)
    return {path: schema for schema, path in found.items()}


def _filter(text: str | None, data: DataSet, schemas: Mapping[str, pa.Schema]) -> Filter | None:
    """Held against each file's own columns. Raises BadOrder."""
    if text is None:
        return None
    kinds = {name: _kinds(f"where: {name}", name, schemas.values()) for name in columns_of(text)}
    found = Filter(text, {name: of_files[0] if of_files else pa.null() for name, of_files in kinds.items()})
    for path, schema in schemas.items():
        own = sources(schema, kinds, found.kinds)
        try:
            found.condition(pa.schema([(each.name, each.kind) for each in own]))
        except BadOrder as bad:
            varied = any(len(of_files) > 1 for of_files in kinds.values())
            raise BadOrder(f"{data.files.name}: {path}: {bad}" if varied else str(bad)) from None
    return found


def _kept(order: Order, schemas: Collection[pa.Schema], answers: AnswerWriter) -> Iterable[pa.Field]:
    """Raises BadOrder."""
    taken: set[str] = set(answers.schema.names)
    for name in order.passthrough:
        if name in taken:
            raise BadOrder(f"--passthrough {name}: this is an output of the model, or named twice")
        taken.add(name)
        kinds = _kinds(f"--passthrough {name}", name, schemas)
        try:
            yield pa.field(name, common(kinds) if kinds else pa.string())
        except Apart as fault:
            raise BadOrder(f"--passthrough {name}: files have it in types that do not go together: {fault}") from None


def _kinds(asked: str, name: str, schemas: Collection[pa.Schema]) -> list[pa.DataType]:
    """Raises BadOrder when there are files, and none has it."""
    try:
        found = kinds_in(schemas, name)
    except Ambiguous:
        raise BadOrder(f"{asked}: several columns have this name") from None
    if schemas and not found:
        there = pa.schema(list({field.name: field for schema in schemas for field in schema}.values()))
        raise BadOrder(f"{asked}: no such column ({nearest(there, name)})")
    return found
