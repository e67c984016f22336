"""Rows on their way to the model, and where each comes from."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from msgspec import Struct

from pipelines.scoring.arrays import values_of


class Placed(Struct, frozen=True):
    """The places go beside the columns and not among them: an input's columns may have any name."""

    batch: pa.RecordBatch
    files: np.ndarray
    """Of each row: which file of the plan; int32."""
    rows: np.ndarray
    """Which row of that file, from 0; int64."""

    @property
    def count(self) -> int:
        return int(self.batch.num_rows)

    def cut(self, start: int, end: int) -> "Placed":
        return Placed(self.batch.slice(start, end - start), self.files[start:end], self.rows[start:end])

    def where(self, mask: pa.Array) -> "Placed":
        """Rows for which it is true."""
        true = values_of(mask.fill_null(False).cast(pa.uint8())).astype(bool)
        return Placed(self.batch.filter(mask), self.files[true], self.rows[true])


def joined(pieces: Sequence[Placed]) -> Placed:
    """Of one schema."""
    if len(pieces) == 1:
        return pieces[0]
    return Placed(
        pa.concat_batches([piece.batch for piece in pieces]), np.concatenate([piece.files for piece in pieces]),
        np.concatenate([piece.rows for piece in pieces]),
    )  # fmt: skip
