"""Whether an output holds every row's score: the count, the scores' sum, and their sum by place."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime as ort
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from loadtest.bench.scoring_data import COLUMNS, Data

_BATCH = 1024
_CLOSE = 1e-6
"""Of sums in float64: another batch size rounds the last bit of a score differently."""


class Wrong(Exception):
    """One line: who wrote it, and what is off."""


class Sums(NamedTuple):
    rows: int
    scores: float
    placed: float
    """Of scores times ids: a score in another's row changes it."""


def expected(data: Data, model: Path) -> Sums:
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    found = []
    for path in sorted(data.folder.iterdir()):
        for batch in pq.ParquetFile(path).iter_batches(_BATCH * 64):
            rows = np.stack([batch.column(name).to_numpy() for name in COLUMNS], axis=1)
            parts = [
                session.run(["score"], {"features": rows[at : at + _BATCH]})[0] for at in range(0, len(rows), _BATCH)
            ]
            found.append(_sums(batch.column("id").to_numpy(), np.concatenate(parts)))
    return _added(found)


def check(who: str, output: Path, wanted: Sums) -> None:
    """Raises Wrong. `output`: a file, or a folder as readers of data sets list it."""
    batches = ds.dataset(output).to_batches(columns=["id", "score"])
    got = _added([_sums(batch["id"].to_numpy(), batch["score"].to_numpy()) for batch in batches])
    if got.rows != wanted.rows or not np.allclose(got, wanted, rtol=_CLOSE):
        raise Wrong(f"{who}: wrote {got}, expected {wanted}")


def _sums(ids: np.ndarray, scores: np.ndarray) -> Sums:
    wide = scores.astype(np.float64)
    return Sums(len(wide), float(wide.sum()), float(wide @ ids.astype(np.float64)))


def _added(found: list[Sums]) -> Sums:
    return Sums(*(sum(each) for each in zip(*found, strict=True))) if found else Sums(0, 0.0, 0.0)
