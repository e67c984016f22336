"""Which Hive folders may hold rows that --where takes: asked before anything in them is read."""

import contextlib
from collections.abc import Iterable

import pyarrow as pa

from pipelines.scoring.hive import Partitions

_FOLDER = ""
"""No partition has this name."""


def holding(folders: Iterable[str], partitions: Partitions, where: str | None) -> frozenset[str]:
    """Those of them that the conditions over folders alone, of those that AND joins, do not rule out. A condition that is
    not true of a folder, be it false or null, is true of no row of it. Raises BadOrder for what is no condition."""
    every = frozenset(folders)
    terms = [] if where is None or not partitions.types else _terms(where, partitions)
    if not terms:
        return every
    rows = dict(_rows(every, partitions))
    columns = {name: pa.array([row[name] for row in rows.values()], kind) for name, kind in partitions.types.items()}
    left = pa.table({_FOLDER: pa.array(list(rows), pa.string()), **columns})
    for term in terms:
        with contextlib.suppress(pa.ArrowException):  # Arrow cannot: the rows will tell
            left = left.filter(term)
    return frozenset(left.column(_FOLDER).to_pylist()) | (every - rows.keys())


def _terms(where: str, partitions: Partitions) -> list[object]:
    from pipelines.scoring.where import parse_terms  # only now: the parser's import costs as much as a million rows

    return parse_terms(where, pa.schema(list(partitions.types.items())))


def _rows(folders: Iterable[str], partitions: Partitions) -> Iterable[tuple[str, dict[str, int | str | None]]]:
    """Without those that came later, and do not fit what the others were."""
    for folder in folders:
        with contextlib.suppress(ValueError):
            yield folder, partitions.row(folder)
