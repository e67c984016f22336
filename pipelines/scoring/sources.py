"""Where wanted columns are in one file. Each becomes a column of the name it was asked for by, whatever it is nested in."""

from collections.abc import Iterable, Mapping

import pyarrow as pa
from msgspec import Struct

from pipelines.scoring.fields import Path, column, find
from pipelines.scoring.hive import Partitions
from pipelines.scoring.kinds import plain


class Source(Struct, frozen=True):
    name: str
    path: Path
    """Empty: this file has no such column."""
    kind: pa.DataType
    """Without views."""

    def array(self, batch: pa.RecordBatch) -> pa.Array:
        if not self.path:
            return pa.nulls(batch.num_rows, self.kind)
        return column(batch, self.path)


def with_partitions(schema: pa.Schema, partitions: Partitions) -> pa.Schema:
    """A file's columns, and those that its folders are."""
    for name, kind in partitions.types.items():
        place = schema.get_field_index(name)
        if place >= 0:  # in the file as well: the folder says it
            schema = schema.remove(place)
        schema = schema.append(pa.field(name, kind))
    return schema


def sources(schema: pa.Schema, names: Iterable[str], elsewhere: Mapping[str, pa.DataType]) -> tuple[Source, ...]:
    """`elsewhere`: types that columns have in other files, for those that this one does not have. Raises Ambiguous."""
    return tuple(_source(schema, name, elsewhere) for name in names)


def kinds_in(schemas: Iterable[pa.Schema], name: str) -> list[pa.DataType]:
    """Types of a column in the files that have it, each once. Raises Ambiguous."""
    found = (find(schema, name) for schema in dict.fromkeys(schemas))
    return list(dict.fromkeys(plain(each[1]) for each in found if each is not None))


def _source(schema: pa.Schema, name: str, elsewhere: Mapping[str, pa.DataType]) -> Source:
    found = find(schema, name)
    if found is None:
        return Source(name, (), elsewhere.get(name, pa.null()))
    return Source(name, found[0], plain(found[1]))
