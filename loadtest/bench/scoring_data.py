"""The input of the scoring bench: Parquet files of an id and 16 float32 columns, the same every time, kept between runs."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loadtest.bench.processes import ROOT
from loadtest.bench.stream_model import FEATURES

COLUMNS = tuple(f"f{place}" for place in range(FEATURES))
FILES = 10
ROW_GROUPS = 2
"""Of each file."""
CACHE = ROOT / ".services" / "bench-scoring"
_SEED = 20_265


@dataclass(frozen=True)
class Data:
    folder: Path
    rows: int

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir())


def data_set(rows: int) -> Data:
    """Made when it is not there. `rows`: a multiple of 20."""
    folder = CACHE / f"{rows}"
    if not folder.exists():
        making = CACHE / f"{rows}.making"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        for number in range(FILES):
            _write(making / f"{number:03d}.parquet", number, rows // FILES)
        making.rename(folder)
    return Data(folder, rows)


def repeated(data: Data, times: int, folder: Path) -> Data:
    """So many times the rows, on no more of the disk: each file under several names. Ids repeat."""
    folder.mkdir()
    for path in data.folder.iterdir():
        for time in range(times):
            os.link(path, folder / f"{time:03d}-{path.name}")
    return Data(folder, data.rows * times)


def _write(path: Path, number: int, rows: int) -> None:
    values = np.random.default_rng(_SEED + number).standard_normal((FEATURES, rows), dtype=np.float32)
    columns = {"id": np.arange(number * rows, (number + 1) * rows), **dict(zip(COLUMNS, values, strict=True))}
    # A dictionary of numbers that are all different, as pyarrow would write it, is none that data sets have.
    pq.write_table(pa.table(columns), path, row_group_size=rows // ROW_GROUPS, use_dictionary=False)
