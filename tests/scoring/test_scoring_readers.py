"""What others make of the output, and what the API says of the same rows."""

import json
from pathlib import Path

import duckdb
import httpx
import numpy as np
import pandas
import pyarrow as pa
import pyarrow.parquet as pq

from tests.e2e.processes import ROOT, place
from tests.scoring.ground import Ground, expected, ground, scored

ROWS = 3000


def test_duckdb_and_pandas_read_the_same(tmp_path: Path) -> None:
    on = ground(tmp_path, rows=ROWS)
    on.score("--passthrough", "id", "--part-rows", "1000")
    pattern = str(Path(on.output) / "**" / "*.parquet")
    count, ids, total = duckdb.sql(
        f"SELECT count(*), sum(id), sum(score[1]) FROM read_parquet('{pattern}')"
    ).fetchall()[0]
    frame = pandas.read_parquet(on.output)
    wanted = expected(range(ROWS)).astype(np.float64).sum()
    assert (count, ids, len(frame), frame["id"].sum()) == (ROWS, ROWS * (ROWS - 1) / 2, ROWS, ROWS * (ROWS - 1) / 2)
    np.testing.assert_allclose(total, wanted, rtol=1e-4)
    np.testing.assert_allclose(np.stack(frame["score"].to_list()).astype(np.float64).sum(), wanted, rtol=1e-4)


def test_the_api_and_a_run_give_the_same_answers(tmp_path: Path) -> None:
    """The model `digits`, with its hooks, on its held-out images, some of them made unfit."""
    rows = [json.loads(line) for line in (ROOT / "models" / "digits" / "heldout.jsonl").read_text().splitlines()[:60]]
    pixels = [row["inputs"]["pixels"] for row in rows]
    pixels[7] = pixels[7][:63]
    pixels[11] = None
    (tmp_path / "in").mkdir()
    given = pa.table({"id": range(len(rows)), "pixels": pa.array(pixels, pa.list_(pa.float64()))})
    pq.write_table(given, tmp_path / "in" / "digits.parquet")
    models = ROOT / "models"
    on = Ground(tmp_path, models, str(tmp_path / "in"), str(tmp_path / "out"))
    summary = on.named("digits", "--passthrough", "id", "--max-rejects", "0.5").summary
    assert (summary["rows"], summary["rejected"]) == (58, 2)
    found = {row["id"]: row for row in scored(tmp_path / "out").to_pylist()}
    home = tmp_path / "h"
    home.mkdir()
    with place(home, models, None) as there:
        api, worker = there.start("api").ready(), there.start("worker")
        worker.ready()
        jobs = [{"model": "digits", "inputs": {"pixels": each}} for each in pixels]
        answers = httpx.post(f"{api.url}/predict_async/batch", json={"jobs": jobs}, timeout=30).json()["jobs"]
        for number, answer in enumerate(answers):
            if number in (7, 11):
                assert "job_id" not in answer
                assert number not in found
                continue
            result = httpx.get(f"{api.url}/result/{answer['job_id']}?wait=20", timeout=30).json()["result"]
            assert {name: found[number][name] for name in result} == _as_stored(result, scored(tmp_path / "out").schema)


def _as_stored(result: dict[str, object], schema: pa.Schema) -> dict[str, object]:
    """JSON's numbers in the column's own precision."""
    return {name: pa.array([value], schema.field(name).type)[0].as_py() for name, value in result.items()}
