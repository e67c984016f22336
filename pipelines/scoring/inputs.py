"""The files that an order is about: those whose folders --where does not rule out; and whether they are still the same."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from pipelines.scoring.dataset import DataSet, Files, Listed, changed_files, parquet_files, read_footers
from pipelines.scoring.folders import holding
from pipelines.scoring.hive import Partitions, folder_of
from schemas.scoring import InputFile, Plan, Skipped


class Found(Struct, frozen=True):
    """An input, as it is now."""

    partitions: Partitions
    """Of all its folders."""
    listed: Sequence[Listed]
    """What may hold rows that are wanted, in the order of the paths."""
    others: Sequence[Listed]


def find(files: Files, where: str | None, partitions: Partitions | None = None) -> Found:
    """`partitions`: as they were found before. Raises BadInput, BadOrder."""
    everything = parquet_files(files)
    folders = {folder_of(each.path) for each in everything}
    known = Partitions(sorted(folders)) if partitions is None else partitions
    kept = holding(folders, known, where)
    wanted = [folder_of(each.path) in kept for each in everything]
    return Found(
        known,
        *([each for each, is_one in zip(everything, wanted, strict=True) if is_one is side] for side in (True, False)),
    )


def read(files: Files, found: Found, skip_corrupt: bool) -> tuple[DataSet, list[Skipped]]:
    """The footers of what is wanted. Where that is nothing, those of one other file: it tells the columns. Raises BadInput."""
    data, skipped = read_footers(files, found.listed, skip_corrupt, found.partitions)
    for each in found.others if not data.footers else ():
        example, bad = read_footers(files, [each], skip_corrupt=True, partitions=found.partitions)
        if not bad:
            return example, skipped
    return data, skipped


def changes(
    files: Files, where: str | None, before: Sequence[InputFile], skipped: Iterable[Skipped], found: Found
) -> list[str]:
    """What became of the input since, a line for each file: what happens in folders that are ruled out is nobody's business."""
    kept = holding({folder_of(file.path) for file in before}, found.partitions, where)
    ours = [file for file in before if folder_of(file.path) in kept]
    return list(changed_files(ours, found.listed, files, {each.path for each in skipped}))


def planned_data(files: Files, plan: Plan) -> DataSet:
    """As it was planned: nothing is listed for it. Raises BadInput."""
    listed = [Listed(file.path, file.size, file.changed, file.tag) for file in plan.files]
    data, _ = read_footers(files, listed, skip_corrupt=False, partitions=Partitions.typed(plan.partitions))
    return data
