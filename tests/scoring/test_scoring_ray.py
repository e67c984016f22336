"""`forebay score --engine ray` on a real Ray cluster of several processes."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.processes import ROOT, clean_environment
from tests.scoring.ground import NAME, Ground, contents, feature, ground, scored, table, write_models
from tests.services.ray_cluster import NoRay, RayCluster, ray_cluster
from tests.services.require import require

ROWS = 3000
SMALL = ("--part-rows", "1000", "--run-id", "r", "--passthrough", "id")
DEADLY = 1234
KILLER = f"""
import os, signal
def preprocess(tensors):
    if abs(float(tensors["features"][0]) - {feature(np.array([DEADLY]), 0)[0]!s}) < 1e-6:
        os.kill(os.getpid(), signal.SIGKILL)
    return tensors
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    if importlib.util.find_spec("ray") is None:
        require("Ray is not installed: pip install 'forebay[ray]'")
    try:
        with ray_cluster({**clean_environment(), "PYTHONPATH": str(ROOT)}) as cluster:
            yield cluster
    except NoRay as fault:
        require(str(fault))


def on_ray(on: Ground, cluster: RayCluster) -> tuple[Ground, tuple[str, ...]]:
    """The same ground with another output, and the options for it."""
    other = Ground(on.folder, on.models, on.input, str(on.folder / "from-ray"), cluster.env)
    return other, ("--engine", "ray", "--ray-address", cluster.address)


def test_killed_and_called_again_it_ends_with_the_bytes_of_the_local_engine(
    tmp_path: Path, cluster: RayCluster
) -> None:
    on = ground(tmp_path, rows=ROWS)
    pq.write_table(table(2, ROWS, f3=pa.array([None, 1.0], pa.float32())), tmp_path / "in" / "in-9.parquet")
    assert on.score(*SMALL).summary["rejected"] == 1
    ray, options = on_ray(on, cluster)
    ray.killed("part-recorded:1", *SMALL, *options)
    assert not Path(ray.output).exists()
    again = ray.score(*SMALL, *options)
    assert (again.summary["rows"], again.summary["attempts"]) == (ROWS + 1, 2)
    assert "going on: 1 of 4 parts are done" in again.said
    assert contents(Path(ray.output)) == contents(Path(on.output))


def test_a_row_that_kills_its_actor_is_found_and_rejected(tmp_path: Path, cluster: RayCluster) -> None:
    on = ground(tmp_path, rows=ROWS)
    write_models(tmp_path / "deadly", hooks=KILLER)
    ray, options = on_ray(Ground(on.folder, tmp_path / "deadly", on.input, on.output), cluster)
    ended = ray.score(*SMALL, *options)
    assert (ended.summary["rows"], ended.summary["rejected"], ended.summary["attempts"]) == (ROWS - 1, 1, 1)
    rejects = pq.read_table(next(Path(ray.output, "_rejects").glob("*.parquet")))
    assert rejects.column("id").to_pylist() == [DEADLY]
    assert scored(Path(ray.output)).column("id").to_pylist() == [id for id in range(ROWS) if id != DEADLY]


def test_what_fails_on_the_cluster_is_told_as_here(tmp_path: Path, cluster: RayCluster) -> None:
    on = ground(tmp_path, rows=ROWS)
    (on.models / NAME / "1" / "model.onnx").write_bytes(b"no model")
    here, (ray, options) = on.score(*SMALL), on_ray(on, cluster)
    there = ray.score(*SMALL, *options)
    assert (here.code, there.code) == (1, 1)
    assert there.said.splitlines()[-1] == here.said.splitlines()[-1]
    assert not Path(ray.output).exists()


def test_what_the_run_itself_refuses_is_refused_before_ray_is_asked(tmp_path: Path) -> None:
    on = ground(tmp_path, rows=10)
    if importlib.util.find_spec("ray") is None:
        refused = on.score("--engine", "ray")
        assert refused.said == "forebay: Ray is not installed (ray): pip install 'forebay[ray]'\n"
        return
    refused = on.score("--engine", "ray", "--ray-address", "127.0.0.1:9", "--columns", "features=nowhere")
    assert (refused.code, refused.said.count("\n"), "nowhere" in refused.said) == (1, 1, True)
    refused = on.score("--engine", "ray", "--ray-address", "127.0.0.1:9")
    assert (refused.code, refused.said.count("\n")) == (1, 1)
    assert "no Ray cluster answers at 127.0.0.1:9" in refused.said
