"""The input: which Parquet files there are, what is in their footers, and whether they are still what they were."""

from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from pipelines.scoring.faults import BadInput
from pipelines.scoring.few import few
from pipelines.scoring.hive import Partitions, folder_of
from schemas.scoring import InputFile, Skipped

SUFFIXES = (".parquet", ".parq", ".pq")
_COMPLETE = "_SUCCESS"
"""Of who writes data sets: an empty one too."""
_READERS = 16
"""Footers that are read at once: on S3 each costs a round trip or two."""


class Listed(Struct, frozen=True):
    """As the storage lists it."""

    path: str
    """Below the input."""
    size: int
    changed: float
    """Epoch seconds."""
    tag: str = ""
    """What changes when its bytes change, where the storage keeps such a thing: `etag:…`."""
    fault: str = ""
    """Why it cannot be read, where that is seen without opening it."""


class Files(Protocol):
    """The storage that an input lies in. Everything raises BadInput, one line, when it cannot be read."""

    name: str
    """The input's URI, for messages."""
    remote: bool
    """Whether a read is a round trip."""

    def listed(self) -> list[Listed]:
        """Every file below the input, or the one that it is."""
        ...

    def open(self, path: str) -> pa.NativeFile: ...

    def tag(self, file: Listed) -> str:
        """What changes when its bytes change. Raises InputChanged when it is not, once it is read, what `file` says."""
        ...

    def close(self) -> None:
        """Its connections. Nothing after it."""
        ...


class DataSet(Struct, frozen=True):
    files: Files
    footers: Mapping[str, pq.FileMetaData]
    """By path."""
    partitions: Partitions
    """Of all folders of the input, those that nothing is read of included."""

    def schema(self, path: str) -> pa.Schema:
        return self.footers[path].schema.to_arrow_schema()


def read_footers(
    files: Files, listed: Sequence[Listed], skip_corrupt: bool, partitions: Partitions | None = None
) -> tuple[DataSet, list[Skipped]]:
    """`partitions`: by default of these files alone. Raises BadInput with every file that cannot be read, unless they are
    skipped."""
    if partitions is None:
        partitions = Partitions([folder_of(each.path) for each in listed])
    with ThreadPoolExecutor(min(_READERS, max(1, len(listed))) if files.remote else 1) as pool:
        found = list(pool.map(lambda each: _footer(files, each), listed))
    bad = [each for each in found if isinstance(each, Skipped)]
    if bad and not skip_corrupt:
        told = few([f"{each.path}: {each.why}" for each in bad])
        raise BadInput(f"{files.name}: {told}; repair or remove them, or pass over them with --skip-corrupt")
    footers = {file.path: each for file, each in zip(listed, found, strict=True) if not isinstance(each, Skipped)}
    return DataSet(files, footers, partitions), bad


def parquet_files(files: Files) -> list[Listed]:
    """Those that are data, in the order of their paths. Raises BadInput when there are none, unless `_SUCCESS` says that
    this is all."""
    return sorted_out(files)[0]


def sorted_out(files: Files) -> tuple[list[Listed], list[str]]:
    """And the paths of the others, but for what is hidden."""
    listed = sorted(files.listed(), key=lambda each: each.path)
    everything = [each for each in listed if not is_hidden(each.path)]
    found = [each for each in everything if each.path.endswith(SUFFIXES)]
    if everything and not found:
        raise BadInput(f"{files.name}: no Parquet files; expected names that end with {', '.join(SUFFIXES)}")
    if not found and not any(each.path == _COMPLETE for each in listed):
        raise BadInput(f"{files.name}: nothing is there")
    return found, [each.path for each in everything if not each.path.endswith(SUFFIXES)]


def changed_files(
    planned: Sequence[InputFile], now: Sequence[Listed], files: Files, skipped: Container[str] = ()
) -> Iterator[str]:
    """A line for each that is not what it was, is gone or is new. Bytes are only read again where the time of the last write
    differs. `skipped`: paths that were passed over."""
    found = {each.path: each for each in now}
    for file in planned:
        listed = found.pop(file.path, None)
        if listed is None:
            yield f"{file.path} is gone"
        elif listed.fault:
            yield f"{file.path} is {listed.fault}"
        elif listed.size != file.size:
            yield f"{file.path} has {listed.size:,} bytes, had {file.size:,}"
        elif _is_other(file, listed, files):
            yield f"{file.path} was written again"
    for path in found:
        if path not in skipped:
            yield f"{path} is new"


def _is_other(file: InputFile, listed: Listed, files: Files) -> bool:
    """Of the same size."""
    if listed.tag:
        return listed.tag != file.tag
    return listed.changed != file.changed and (not file.tag or files.tag(listed) != file.tag)


def _footer(files: Files, listed: Listed) -> pq.FileMetaData | Skipped:
    if listed.fault:
        return Skipped(listed.path, listed.fault)
    if "//" in f"/{listed.path}":
        return Skipped(
            listed.path, "its key has nothing between two slashes, which Arrow cannot open: copy it to another key"
        )
    try:
        with files.open(listed.path) as source:
            return pq.read_metadata(source)
    except (pa.ArrowException, OSError, ValueError) as fault:
        return Skipped(listed.path, f"not a Parquet file that can be read: {one_line(fault)}")


def one_line(fault: BaseException, most: int = 200) -> str:
    return " ".join(str(fault).split())[:most] or type(fault).__name__


def is_hidden(path: str) -> bool:
    """As every reader of data sets passes over them; Hive folders of such names do count."""
    return any(part[:1] in ("_", ".") and "=" not in part for part in path.split("/"))


def row_groups(footer: Any) -> tuple[int, ...]:
    return tuple(footer.row_group(number).num_rows for number in range(footer.num_row_groups))
