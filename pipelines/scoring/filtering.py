"""`--where` for files that have their columns in different types, or not at all."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipelines.scoring.placed import Placed
from pipelines.scoring.sources import Source


class Filter:
    """Of one condition. Used by one thread."""

    def __init__(self, text: str, kinds: Mapping[str, pa.DataType]) -> None:
        """`kinds`: of its columns, in the files that have them; elsewhere they are null."""
        self._text = text
        self.kinds = kinds
        self._known: dict[tuple[pa.Schema, bool], Any] = {}

    def rows(self, placed: Placed) -> Placed:
        """Those that it takes. Raises BadOrder."""
        import pyarrow.acero as acero  # only now: where there is no condition, it need not be there

        batch = placed.batch.select(list(self.kinds))
        # Without threads: one batch goes in, and its rows have to come out as they lie.
        mask = acero.Declaration.from_sequence(
            [
                acero.Declaration("table_source", acero.TableSourceNodeOptions(pa.Table.from_batches([batch]))),
                acero.Declaration("project", acero.ProjectNodeOptions([self.condition(batch.schema)], ["taken"])),
            ]
        ).to_table(use_threads=False)
        return placed.where(mask.column("taken").combine_chunks())

    def condition(self, schema: pa.Schema) -> Any:
        """Over columns that have the names it names. Raises BadOrder."""
        return self._parsed(schema, provable=False)

    def groups(self, schema: pa.Schema, found: tuple[Source, ...]) -> tuple[Any, pa.Schema]:
        """What statistics may rule row groups out by, over a file's own columns, and these."""
        fields = [schema.field(head) for head in dict.fromkeys(source.path[0] for source in found if source.path)]
        missing = [pa.field(source.name, source.kind) for source in found if not source.path]
        read = pa.schema([*fields, *missing]).remove_metadata()
        return self._parsed(read, provable=True), read

    def _parsed(self, schema: pa.Schema, provable: bool) -> Any:
        from pipelines.scoring.where import parse  # only now: the parser's import costs as much as a million rows

        known = self._known.get((schema, provable))
        if known is None:
            known = self._known[schema, provable] = parse(self._text, schema, provable)
        return known


def columns_of(where: str | None) -> tuple[str, ...]:
    """See `pipelines.scoring.where`. Raises BadOrder."""
    if where is None:
        return ()
    from pipelines.scoring.where import columns_of

    return columns_of(where)
