"""A model repository, an input, and attempts at scoring it."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from msgspec import Struct

from loadtest.bench import stream_model
from tests.e2e.processes import ROOT, clean_environment

FEATURES = stream_model.FEATURES
NAME = stream_model.NAME
MAPPING = "columns: {features: ['f{0..15}']}\n"


def write_models(folder: Path, more: str = MAPPING, hooks: str | None = None) -> Path:
    stream_model.write_repository(folder)
    spec = folder / NAME / "model.yaml"
    spec.write_text(spec.read_text() + more + ("" if hooks is None else "hooks: hooks.py\n"))
    if hooks is not None:
        (folder / NAME / "hooks.py").write_text(hooks)
    return folder


def table(rows: int, first: int = 0, **changes: Any) -> pa.Table:
    """Row n has the id n and features by its number alone."""
    ids = np.arange(first, first + rows)
    columns = {"id": pa.array(ids), **{f"f{n}": pa.array(feature(ids, n)) for n in range(FEATURES)}}
    return pa.table(columns | changes)


def feature(ids: np.ndarray, n: int) -> np.ndarray:
    return np.sin(ids * 0.37 + n).astype(np.float32)


def write_input(folder: Path, rows: int = 5000, files: int = 3, group: int = 700) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    cuts = np.linspace(0, rows, files + 1).astype(int)
    for number, (first, last) in enumerate(pairwise(cuts)):
        pq.write_table(table(int(last - first), int(first)), folder / f"in-{number}.parquet", row_group_size=group)
    return folder


class Ended(Struct, frozen=True):
    code: int
    said: str
    wrote: str

    @property
    def summary(self) -> dict[str, Any]:
        assert self.code == 0, self.said
        found: dict[str, Any] = json.loads(self.wrote)
        return found


class Ground(Struct, frozen=True):
    folder: Path
    models: Path
    input: str
    output: str
    env: Mapping[str, str] = {}

    def command(self, *more: str, fail_at: str | None = None) -> list[str]:
        """`fail_at`: name of a failpoint, and the how-manieth time, that it is killed at: `part-recorded:2`."""
        start = ["-m", "tests.scoring.attempt", fail_at] if fail_at is not None else ["-P", "-m", "forebay.cli.app"]
        return [
            sys.executable, *start, "score", "--model", NAME, "--models", str(self.models), "--input", self.input,
            "--output", self.output, "--home", str(self.folder / "home"), "--json", *more,
        ]  # fmt: skip

    def begin(self, *more: str, fail_at: str | None = None) -> "subprocess.Popen[str]":
        return self._begin(self.command(*more, fail_at=fail_at))

    def score(self, *more: str, fail_at: str | None = None) -> Ended:
        return _ended(self.begin(*more, fail_at=fail_at))

    def told(self, *more: str) -> str:
        """What it says to people."""
        ended = _ended(self._begin([part for part in self.command(*more) if part != "--json"]))
        assert ended.code == 0, ended
        return ended.wrote

    def more(self, *given: str) -> Ended:
        """Another of `forebay score`'s commands."""
        return _ended(self._begin([sys.executable, "-P", "-m", "forebay.cli.app", "score", *given]))

    def _begin(self, command: Sequence[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command, cwd=ROOT, env={**clean_environment(), **self.env}, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def named(self, model: str, *more: str) -> Ended:
        """With another model of the repository."""
        return _ended(self._begin([model if part == NAME else part for part in self.command(*more)]))

    def killed(self, fail_at: str, *more: str) -> None:
        ended = self.score(*more, fail_at=fail_at)
        assert ended.code == -signal.SIGKILL, ended


def _ended(process: "subprocess.Popen[str]") -> Ended:
    with process:
        wrote, said = process.communicate(timeout=120)
    return Ended(process.returncode, said, wrote)


def ground(folder: Path, output: str | None = None, **given: Any) -> Ground:
    models = write_models(folder / "models")
    input = write_input(folder / "in", **given)
    return Ground(folder, models, str(input), str(folder / "out") if output is None else output)


def contents(output: Path) -> dict[str, bytes]:
    """By path, what readers of the data find."""
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in sorted(output.rglob("*.parquet"))
        if "_forebay" not in path.parts
    }


def scored(output: Path) -> pa.Table:
    return ds.dataset(output, partitioning="hive").to_table()


def expected(ids: Sequence[int] | np.ndarray) -> np.ndarray:
    """What the model says of these rows, by ONNX Runtime alone."""
    import onnxruntime as ort

    session = ort.InferenceSession(stream_model.serialized(), providers=["CPUExecutionProvider"])
    features = np.stack([feature(np.asarray(ids), n) for n in range(FEATURES)], axis=1)
    answer: np.ndarray = session.run(None, {"features": features})[0]
    return answer
