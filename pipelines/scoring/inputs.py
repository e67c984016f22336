"""The files that an order is about: those whose folders --where does not rule out; and whether they are still the same."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from pipelines.scoring.dataset import SUFFIXES, DataSet, Files, Listed, changed_files, read_footers, sorted_out
from pipelines.scoring.few import few
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
    passed: Sequence[str]
    """Paths of files that are not Parquet by their names, of the same folders."""

    def told(self) -> str | None:
        """A line about those; None without any."""
        if not self.passed:
            return None
        ends = ", ".join(SUFFIXES)
        many = "1 file is" if len(self.passed) == 1 else f"{len(self.passed):,} files are"
        return f"{many} passed over: names that do not end with {ends}: {few(self.passed, 3)}"


def find(files: Files, where: str | None, partitions: Partitions | None = None) -> Found:
    """`partitions`: as they were found before. Raises BadInput, BadOrder."""
    everything, passed = sorted_out(files)
    folders = {folder_of(each.path) for each in everything}
    known = Partitions(sorted(folders)) if partitions is None else partitions
    kept = holding(folders, known, where)
    listed: list[Listed] = []
    others: list[Listed] = []
    for each in everything:
        (listed if folder_of(each.path) in kept else others).append(each)
    ruled_out = folders - kept
    return Found(known, listed, others, [path for path in passed if folder_of(path) not in ruled_out])


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
