"""Rows that cannot be scored: kept with their reason, and no neighbour pays for them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.scoring.ground import FEATURES, MAPPING, Ground, feature, scored, write_input, write_models

ROWS = 3000
BAD = set(range(17, ROWS, 100))


def _input(folder: Path, value: float | None = None) -> Path:
    ids = np.arange(ROWS)
    columns = {f"f{n}": feature(ids, n) for n in range(FEATURES)}
    fifth = [value if n in BAD else float(columns["f5"][n]) for n in ids]
    folder.mkdir()
    table = pa.table({"id": ids, **columns, "f5": pa.array(fifth, pa.float32()), "note": [f"n{n}" for n in ids]})
    pq.write_table(table, folder / "in.parquet", row_group_size=700)
    return folder


def _on(folder: Path, **given: str) -> Ground:
    models = write_models(folder / "models", **given)
    return Ground(folder, models, str(_input(folder / "in", None)), str(folder / "out"))


def test_one_per_cent_is_put_aside_with_reason_and_columns(tmp_path: Path) -> None:
    on = _on(tmp_path)
    summary = on.score("--passthrough", "id").summary
    assert (summary["rows"], summary["rejected"]) == (ROWS - len(BAD), len(BAD))
    assert scored(tmp_path / "out").column("id").to_pylist() == [n for n in range(ROWS) if n not in BAD]
    rejects = pq.read_table(next((tmp_path / "out" / "_rejects").glob("*.parquet")))
    assert rejects.column("id").to_pylist() == rejects.column("_forebay_row").to_pylist() == sorted(BAD)
    assert set(rejects.column("_forebay_reason").to_pylist()) == {"invalid_input"}
    assert rejects.column("note").to_pylist() == [f"n{n}" for n in sorted(BAD)]
    assert rejects.column("_forebay_row_id")[0].as_py() == "in.parquet:17"
    assert "features" in rejects.column("_forebay_error")[0].as_py()


def test_more_than_may_be_publishes_nothing(tmp_path: Path) -> None:
    on = _on(tmp_path)
    ended = on.score("--max-rejects", "0.005")
    assert ended.code == 1
    assert "more than --max-rejects 0.005" in ended.said or "--max-rejects allows 0.005" in ended.said
    assert not (tmp_path / "out").exists()


HOOK = """
def postprocess(outputs):
    if outputs["score"][0] > 0.2:
        raise RuntimeError("too high")
    return outputs
"""


def test_what_the_models_own_code_refuses_is_rejected_alone(tmp_path: Path) -> None:
    more = MAPPING + "limits: {max_attempts: 1}\n"
    on = _on(tmp_path, more=more, hooks=HOOK)
    summary = on.score("--passthrough", "id", "--max-rejects", "1").summary
    assert summary["rows"] + summary["rejected"] == ROWS
    assert np.stack(scored(tmp_path / "out").column("score").to_pylist()).max() <= 0.2
    rejects = pq.read_table(next((tmp_path / "out" / "_rejects").glob("*.parquet")))
    assert {"model_error", "invalid_input", "invalid_output"} >= set(rejects.column("_forebay_reason").to_pylist())
    assert any("too high" in each for each in rejects.column("_forebay_error").to_pylist())


CRASH = """
import os, signal
def preprocess(inputs):
    if abs(float(inputs["features"][0]) - {value!r}) < 1e-7:
        os.kill(os.getpid(), signal.SIGKILL)
    return inputs
"""


def test_a_row_that_takes_its_process_down_is_found(tmp_path: Path) -> None:
    culprit = float(feature(np.array([1234]), 0)[0])
    on = _on(tmp_path, hooks=CRASH.format(value=culprit))
    summary = on.score("--passthrough", "id", "--workers", "2", "--max-rejects", "0.02").summary
    assert summary["rejected"] == len(BAD) + 1
    rejects = pq.read_table(next((tmp_path / "out" / "_rejects").glob("*.parquet"))).to_pylist()
    assert [each["id"] for each in rejects if each["_forebay_reason"] == "crashed"] == [1234]


def test_rejects_are_scored_again_with_a_model_that_takes_them(tmp_path: Path) -> None:
    on = _on(tmp_path)
    assert on.score("--passthrough", "id", "--run-id", "r").summary["rejected"] == len(BAD)
    spec = on.models / "mlp" / "model.yaml"
    lenient = spec.read_text().replace("shape: [16]}", "shape: [16], nan: true}")
    spec.write_text(lenient.replace("shape: [1]}", "shape: [1], nan: true}"))
    again = on.more("retry-rejects", "r", "--output", on.output, "--models", str(on.models), "--json").summary
    assert (again["rows"], again["rejected"], again["run_id"]) == (ROWS, 0, "r-retry-1")
    assert sorted(scored(tmp_path / "out").column("id").to_pylist()) == list(range(ROWS))
    assert not (tmp_path / "out" / "_rejects").exists()
    listed = on.more("files", on.output).wrote.split()
    assert sum(pq.read_metadata(path).num_rows for path in listed) == ROWS
    assert len(listed) == 2


HANG = """
import time
def preprocess(inputs):
    if abs(float(inputs["features"][0]) - {value!r}) < 1e-7:
        time.sleep(3600)
    return inputs
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_row_that_the_model_never_comes_back_from_is_found(tmp_path: Path, workers: str) -> None:
    culprit = float(feature(np.array([1234]), 0)[0])
    on = _on(tmp_path, more=MAPPING + "limits: {timeout_s: 2}\n", hooks=HANG.format(value=culprit))
    ended = on.score("--passthrough", "id", "--workers", workers, "--max-rejects", "0.02")
    assert ended.summary["rejected"] == len(BAD) + 1
    assert ("a batch ran for more than 2 s (limits.timeout_s)" in ended.said) == (workers == "1")
    rejects = pq.read_table(next((tmp_path / "out" / "_rejects").glob("*.parquet")))
    reasons = dict(zip(rejects.column("id").to_pylist(), rejects.column("_forebay_reason").to_pylist(), strict=True))
    assert reasons[1234] == "timeout"
    assert scored(tmp_path / "out").num_rows == ROWS - len(BAD) - 1


def test_files_with_other_columns_share_a_file_of_rejects(tmp_path: Path) -> None:
    on = _on(tmp_path)
    first = pq.read_table(tmp_path / "in" / "in.parquet")
    second = first.drop_columns(["note"]).append_column("extra", pa.array(range(ROWS), pa.int32()))
    pq.write_table(second, tmp_path / "in" / "in2.parquet", row_group_size=100)
    assert on.score("--passthrough", "id").summary["rejected"] == 2 * len(BAD)
    rejects = pq.read_table(next((tmp_path / "out" / "_rejects").glob("*.parquet")))
    bad = sorted(BAD)
    assert rejects.column("id").to_pylist() == bad * 2
    assert rejects.column("_forebay_path").to_pylist() == ["in.parquet"] * len(bad) + ["in2.parquet"] * len(bad)
    assert rejects.column("note").to_pylist() == [f"n{n}" for n in bad] + [None] * len(bad)
    assert rejects.column("extra").to_pylist() == [None] * len(bad) + bad


def test_a_hook_that_ends_the_process_costs_its_row_alone(tmp_path: Path) -> None:
    fifth = float(feature(np.array([5]), 0)[0])
    condition = f"abs(float(inputs['features'][0]) - {fifth!r}) < 1e-6"
    hooks = f"import sys\ndef preprocess(inputs):\n    if {condition}: sys.exit(0)\n    return inputs\n"
    models = write_models(tmp_path / "models", hooks=hooks)
    on = Ground(tmp_path, models, str(write_input(tmp_path / "in", 20, 1)), str(tmp_path / "out"))
    summary = on.score("--max-rejects", "1").summary
    assert (summary["rows"], summary["rejected"]) == (19, 1)
