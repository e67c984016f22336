"""The plan: row groups into parts, always the same for the same files and order."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from pipelines.scoring import hive
from pipelines.scoring.dataset import DataSet, Listed, row_groups
from pipelines.scoring.filtering import Filter
from pipelines.scoring.sources import sources, with_partitions
from schemas.scoring import InputFile, PartPlan, Piece

_Group = tuple[int, int, int]
"""A file's place, a row group's place in it, its rows."""


def input_files(data: DataSet, listed: Sequence[Listed]) -> tuple[InputFile, ...]:
    """Without the tags that cost reading them."""
    return tuple(
        InputFile(
            each.path, each.size, each.tag,
            row_groups(data.footers[each.path]), each.changed,
        )
        for each in listed
        if each.path in data.footers
    )  # fmt: skip


def parts_of(files: Sequence[InputFile], wanted: Sequence[Sequence[int]], part_rows: int) -> tuple[PartPlan, ...]:
    """`wanted`: by file, its row groups that are read. A part is of one folder, and never smaller than it need be to hold
    `part_rows` rows, but for the last of its folder."""
    ordered = sorted(range(len(files)), key=lambda place: (hive.folder_of(files[place].path), files[place].path))
    found: list[PartPlan] = []
    for folder, places in groupby(ordered, key=lambda place: hive.folder_of(files[place].path)):
        groups = ((place, group, files[place].row_groups[group]) for place in places for group in wanted[place])
        for cut in _cut(groups, part_rows):
            found.append(PartPlan(len(found), folder, _pieces(cut), sum(rows for _, _, rows in cut)))
    return tuple(found)


class Pruning(Struct, frozen=True):
    """Which row groups may hold rows that are wanted, by Hive folder and by the footers' statistics."""

    data: DataSet
    partitions: hive.Partitions
    where: Filter | None

    def wanted(self, file: InputFile) -> tuple[int, ...]:
        full = tuple(group for group, rows in enumerate(file.row_groups) if rows)
        if self.where is None:
            return full
        import pyarrow.dataset as ds  # only now: it imports pandas where there is one

        own = with_partitions(self.data.schema(file.path), self.partitions)
        condition, schema = self.where.groups(own, sources(own, self.where.kinds, self.where.kinds))
        with self.data.files.open(file.path) as source:
            fragment = ds.ParquetFileFormat().make_fragment(source, partition_expression=self._folder(file.path))
            try:
                kept = fragment.subset(filter=condition, schema=schema)
            except pa.ArrowException:  # statistics that Arrow cannot hold the condition against rule nothing out
                return full
            return tuple(group.id for group in kept.row_groups)

    def _folder(self, path: str) -> pc.Expression:
        """What is true of every row of this file."""
        known = pc.scalar(True)
        for name, value in hive.values_of(hive.folder_of(path)).items():
            typed = pa.scalar(value, pa.string()).cast(self.partitions.types[name])
            known &= pc.field(name).is_null() if value is None else pc.field(name) == typed
        return known


def _cut(groups: Iterable[_Group], part_rows: int) -> Iterator[list[_Group]]:
    part: list[_Group] = []
    rows = 0
    for group in groups:
        part.append(group)
        rows += group[2]
        if rows >= part_rows:
            yield part
            part, rows = [], 0
    if part:
        yield part


def _pieces(groups: Sequence[_Group]) -> tuple[Piece, ...]:
    return tuple(
        Piece(place, tuple(group for _, group, _ in of_file))
        for place, of_file in groupby(groups, key=lambda each: each[0])
    )
