"""The reference pages and the code name the same things."""

import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from pydantic import BaseModel

from api.depth import StoreDepth
from api.metrics import Metrics
from pipelines.clock import SystemClock
from pipelines.store.memory import MemoryStore
from schemas.model_spec import Batching, Limits, ModelSpec, TensorSpec, VersionSpec
from workers.metrics import PrometheusObserver
from workers.queue_depth import QueueDepth
from workers.queue_lag import QueueLag
from workers.runtimes import onnx, torch
from workers.scoring_metrics import PrometheusScoring
from workers.strays import StraysSeen
from workers.stream_metrics import StreamMetrics

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def first_cells(text: str) -> set[str]:
    """Every `name` in the first column of the tables in this text."""
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def sections(page: str) -> dict[str, str]:
    parts = re.split(r"^##? (.*)$", (REFERENCE / page).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_model_yaml_lists_every_key_and_no_other() -> None:
    of_model = {
        f"{name}.{below}" if nested else name
        for name in ModelSpec.model_fields
        for nested in [{"batching": Batching, "limits": Limits}.get(name)]
        for below in (nested.model_fields if nested else [""])
    }
    page = sections("model-yaml.md")
    assert first_cells(page["`model.yaml`"]) == of_model
    assert first_cells(page["A tensor"]) == set(TensorSpec.model_fields)
    assert first_cells(page["A version"]) == set(VersionSpec.model_fields)


@pytest.mark.parametrize("spec", [Batching, Limits])
def test_plain_defaults_of_model_yaml_are_the_real_ones(spec: type[BaseModel]) -> None:
    text = (REFERENCE / "model-yaml.md").read_text()
    for name, field in spec.model_fields.items():
        default = "none" if field.default is None else f"{field.default:g}"
        assert f"| `{spec.__name__.lower()}.{name}` | {default} |" in text


def test_options_of_runtimes_are_listed() -> None:
    listed = re.findall(r"^\| `(onnx|torch)` \| (`[^|]*) \|", sections("model-yaml.md")["Options"], re.MULTILINE)
    for runtime, module in (("onnx", onnx), ("torch", torch)):
        names = {name for owner, row in listed if owner == runtime for name in re.findall(r"`([^`]+)`", row)}
        assert names == set(module.OPTIONS)


def test_metrics_lists_every_metric_and_no_other() -> None:
    page = sections("metrics.md")
    of_api, of_worker = CollectorRegistry(), CollectorRegistry()
    Metrics(of_api)
    PrometheusObserver(of_worker, print, lambda: 0.0)
    depth = StoreDepth(MemoryStore(lambda: 0.0), lambda: 0.0, lambda: 0.0).collect()
    assert first_cells(page["Of the API"]) == {shown(metric) for metric in (*of_api.collect(), *depth)}
    of_stream = CollectorRegistry()
    StreamMetrics(of_stream, "m", "1", lambda: 0.0, print)
    assert first_cells(page["Of a stream worker"]) == {shown(metric) for metric in of_stream.collect()}
    of_scoring = CollectorRegistry()
    PrometheusScoring(of_scoring, print, SystemClock())
    assert first_cells(page["Of a scoring worker"]) == {shown(metric) for metric in of_scoring.collect()}
    of_worker.register(QueueLag(dict))
    of_worker.register(QueueDepth(dict))
    StraysSeen(lambda strays: None, of_worker, print, lambda: 0.0)
    assert first_cells(page["Of a worker"]) == {shown(metric) for metric in of_worker.collect()}


def shown(metric: Metric) -> str:
    return metric.name + ("_total" if metric.type == "counter" else "")
