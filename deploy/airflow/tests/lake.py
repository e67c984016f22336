"""The lake of the tests: made, and read, by Forebay's own Python, which has Arrow. `lake.py make FOLDER`, `lake.py read OUTPUT…`.

models/digits/                      the repository's, slowed down as long as there is a file `slow`
features/dt=<day>/hour=<0|1>/       for every day of DAYS and for those that the scheduler takes by itself
spoilt/dt=<DAY>/                    a tenth of the pictures are empty
empty/dt=<DAY>/                     no rows
coming/dt=<DAY>/                    to be moved to late/
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from forebay_client import dataset

DIGITS = Path(__file__).parents[3] / "models" / "digits"
DAYS = ("2026-01-20", "2026-01-21", "2026-02-01", "2026-02-02", "2026-02-03")
DAY = DAYS[0]
ROWS = 300
FIRST = 2
"""Rows of the first hour, which is a part of its own."""
HOOKS = """

from pathlib import Path
from time import sleep

_fits = preprocess


def preprocess(inputs):
    if Path({slow!r}).exists():
        sleep(1)
    return _fits(inputs)
"""
BATCH = ("max_batch_size: 256", "max_batch_size: 2")
"""A slow run hears of a cancellation after each batch."""


def make(lake: Path) -> None:
    _write_model(lake / "models" / "digits", lake / "slow")
    now = datetime.now(UTC).date()
    for day in (*DAYS, str(now), str(now - timedelta(days=1))):
        pictures = _pictures(day)
        _write(lake / "features" / f"dt={day}" / "hour=0", pictures.slice(0, FIRST))
        _write(lake / "features" / f"dt={day}" / "hour=1", pictures.slice(FIRST))
    _write(lake / "spoilt" / f"dt={DAY}", _pictures(DAY, blank_every=10))
    _write(lake / "empty" / f"dt={DAY}", _pictures(DAY).slice(0, 0))
    _write(lake / "coming" / f"dt={DAY}", _pictures(DAY))


def read(output: Path) -> dict[str, object]:
    """By its manifest alone, and what lies there."""
    table = dataset(str(output)).to_table()
    manifest = json.loads((output / "_forebay" / "current.json").read_text())["manifest"]
    parts = [part["path"] for part in json.loads((output / manifest).read_text())["parts"]]
    found = [str(path.relative_to(output)) for path in output.rglob("*.parquet")]
    return {
        "ids": sorted(table.column("id").to_pylist()) if table.num_rows else [],
        "run": manifest,
        "success": (output / "_SUCCESS").exists(),
        "strays": sorted(set(found) ^ set(parts)),
    }


def _write_model(folder: Path, slow: Path) -> None:
    (folder / "1").mkdir(parents=True)
    spec = (DIGITS / "model.yaml").read_text().replace(*BATCH)
    head, _, tail = spec.partition('  "2":')
    (folder / "model.yaml").write_text(head + tail[tail.index("example:") :])
    (folder / "hooks.py").write_text((DIGITS / "hooks.py").read_text() + HOOKS.format(slow=str(slow)))
    (folder / "1" / "model.onnx").write_bytes((DIGITS / "1" / "model.onnx").read_bytes())


def _pictures(day: str, blank_every: int = 0) -> pa.Table:
    """Ids tell their day: 20260120 · 1000 and so on."""
    lines = (DIGITS / "heldout.jsonl").read_text().splitlines()[:ROWS]
    pixels = [json.loads(line)["inputs"]["pixels"] for line in lines]
    for row in range(0, ROWS if blank_every else 0, blank_every or 1):
        pixels[row] = [0] * 64
    first = int(day.replace("-", "")) * 1000
    return pa.table({"id": range(first, first + ROWS), "pixels": pa.array(pixels, pa.list_(pa.float32()))})


def _write(folder: Path, table: pa.Table) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "features.parquet")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["make", folder]:
            make(Path(folder))
        case ["read", *outputs]:
            sys.stdout.write(json.dumps([read(Path(output)) for output in outputs]))
