"""What a programmer writes in an evening instead of `forebay score`: read batches, run, write. Nothing is safe about it.

    python -m loadtest.bench.scoring_loop batches|scanner INPUT OUTPUT MODEL.onnx BATCH THREADS

`batches` reads file by file (ParquetFile.iter_batches), `scanner` lets pyarrow's data sets read ahead.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

COLUMNS = [f"f{place}" for place in range(16)]
SCHEMA = pa.schema([("id", pa.int64()), ("score", pa.float32())])


def batches(folder: str, size: int) -> Iterator[pa.RecordBatch]:
    for path in sorted(Path(folder).glob("*.parquet")):
        yield from pq.ParquetFile(path).iter_batches(size, columns=["id", *COLUMNS])


def scanner(folder: str, size: int) -> Iterator[pa.RecordBatch]:
    yield from ds.dataset(folder).to_batches(columns=["id", *COLUMNS], batch_size=size)


def main(reading: str, folder: str, output: str, model: str, size: int, threads: int) -> None:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    read = batches if reading == "batches" else scanner
    with pq.ParquetWriter(output, SCHEMA) as writer:
        for batch in read(folder, size):
            features = np.stack([batch.column(name).to_numpy() for name in COLUMNS], axis=1)
            (scores,) = session.run(["score"], {"features": features})
            writer.write_batch(pa.record_batch([batch.column("id"), scores], schema=SCHEMA))


if __name__ == "__main__":
    main(*sys.argv[1:5], int(sys.argv[5]), int(sys.argv[6]))
