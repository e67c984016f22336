"""Which Hive folders --where rules out, beside what the rows of each would be."""

import pyarrow as pa
import pytest

from pipelines.scoring.folders import holding
from pipelines.scoring.hive import NULL, Partitions
from pipelines.scoring.where import parse

FOLDERS = ["", f"dt={NULL}/hour=1", "dt=2026-11-20/hour=1", "dt=2026-11-20/hour=2", "dt=2026-11-21/hour=3", "dt=x"]
FILE = pa.schema([("amount", pa.int64()), ("note", pa.string())])


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("dt = '2026-11-20'", [2, 3]),
        ("dt = '2026-11-20' AND amount > 10", [2, 3]),
        ("amount > 10 AND (hour >= 2 AND (dt < '2026-11-21' AND note = 'x'))", [3]),
        ("dt = '2026-11-20' OR amount > 10", [0, 1, 2, 3, 4, 5]),
        ("(dt = '2026-11-20' OR hour = 3) AND amount > 10", [2, 3, 4]),
        ("NOT (dt = '2026-11-20')", [4, 5]),
        ("dt IS NULL", [0, 1]),
        ("dt IS NOT NULL AND hour IS NULL", [5]),
        ("dt <> '2026-11-20'", [4, 5]),
        ("hour IN (1, 3)", [1, 2, 4]),
        ("hour NOT IN (1)", [3, 4]),
        ("dt LIKE '2026%' AND note LIKE 'a%'", [2, 3, 4]),
        ("amount > 10", [0, 1, 2, 3, 4, 5]),
        ("hour = 'text' AND dt = 'x'", [5]),
        ("dt.x = 3", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_folders_that_are_ruled_out(where: str, kept: list[int]) -> None:
    assert holding(FOLDERS, Partitions(FOLDERS), where) == {FOLDERS[place] for place in kept}


@pytest.mark.parametrize(
    "where",
    ["dt = '2026-11-20'", "NOT (dt = 'x' OR hour = 1)", "hour BETWEEN 2 AND 3 AND dt <> 'x'", "dt IS NULL AND hour = 1",
     "NOT (hour = 1) AND dt LIKE '2026%'", "hour = 1 OR dt IS NULL"],
)  # fmt: skip
def test_a_folder_goes_only_when_none_of_its_rows_is_taken(where: str) -> None:
    partitions = Partitions(FOLDERS)
    schema = pa.schema([*FILE, *(pa.field(name, kind) for name, kind in partitions.types.items())])
    condition, kept = parse(where, schema), holding(FOLDERS, partitions, where)
    for folder in FOLDERS:
        columns = partitions.columns(folder, 1, list(partitions.types))
        rows = pa.table({"amount": [11], "note": ["abc"], **columns}).filter(condition)
        assert (folder in kept) == bool(rows.num_rows), folder


def test_types_stay_what_they_were() -> None:
    before = Partitions(["day=1", "day=2"])
    assert holding(["day=1", "day=2", "day=x"], Partitions.typed(before.kinds), "day = 1") == {"day=1", "day=x"}
