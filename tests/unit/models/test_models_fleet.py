"""The fleet: what it serves, and how it tells what it leaves out."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from model_folders import add_model, onnx_bytes

from pipelines.catalog import Catalog
from workers.fleet import LoadedFleet, load_fleet

TOLD = "model m version 2 is left out: runtime torch is not installed: pip install 'forebay[torch]'"


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "torch" else find_spec(name, *more)
    )


def started(root: Path, **changes: Any) -> tuple[LoadedFleet, list[str], list[str]]:
    """The fleet of versions 1 and 2 of `m`; what was warned of, and what was only told."""
    add_model(root, {"1/model.onnx": onnx_bytes()}, **changes)
    (root / "m" / "2").mkdir()
    spec = root / "m" / "model.yaml"
    spec.write_text(spec.read_text() + 'versions: {"2": {runtime: torch}}\n')
    warned: list[str] = []
    told: list[str] = []
    return load_fleet(list(Catalog.open(root).versions()), "cpu", warned.append, told.append), warned, told


def test_a_version_whose_runtime_is_not_installed_is_told_calmly_beside_one_that_runs(tmp_path: Path) -> None:
    fleet, warned, told = started(tmp_path)
    assert fleet.find("m", "1") is not None
    assert (fleet.models, warned, told) == (["m"], [], [TOLD])


def test_a_model_of_which_nothing_runs_is_warned_of(tmp_path: Path) -> None:
    fleet, warned, told = started(tmp_path, runtime="torch")
    assert (fleet.models, warned, told) == ([], [TOLD.replace("version 2", "version 1"), TOLD], [])
