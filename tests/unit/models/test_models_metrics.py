"""A worker's metrics: by model and version; queue time apart from compute time."""

from prometheus_client import CollectorRegistry

from pipelines.flow.breaker import Moved
from schemas.jobs import Claim
from schemas.reasons import Reason
from schemas.verdicts import Dead, Done, Release, Retry
from workers.metrics import PrometheusObserver


def claim(waited: float = 0.0, failures: int = 0, starts: int = 0, lost: int = 0) -> Claim:
    return Claim(1, "j", "default", "m", "1", b"{}", 0, 1, starts, failures, lost, waited=waited)


def test_queue_time_is_that_of_first_claims() -> None:
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry, print, lambda: 0.0)
    observer.claimed([claim(0.2), claim(3.0), claim(9, failures=1), claim(9, starts=1), claim(9, lost=1)])
    labels = {"model": "m", "version": "1"}
    assert registry.get_sample_value("forebay_queue_seconds_count", labels) == 2
    assert registry.get_sample_value("forebay_queue_seconds_sum", labels) == 3.2
    assert registry.get_sample_value("forebay_claims_total", labels) == 5


def test_batches_and_verdicts_are_counted() -> None:
    told: list[str] = []
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry, told.append, lambda: 0.0)
    observer.batch("m", "1", 3, 0.02)
    verdicts = [Done(b"1"), Done(b"2"), Retry(Reason.MODEL_ERROR, "x", 1.0), Dead(Reason.INVALID_INPUT, "y"), Release()]
    observer.recorded([(claim(), verdict) for verdict in verdicts], refused=2)
    observer.trouble("the store is away")

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, labels)

    of_model = {"model": "m", "version": "1"}
    assert value("forebay_batch_size_sum", **of_model) == 3
    assert value("forebay_compute_seconds_count", **of_model) == 1
    assert value("forebay_verdicts_total", verdict="done", reason="", **of_model) == 2
    assert value("forebay_verdicts_total", verdict="retry", reason="model_error", **of_model) == 1
    assert value("forebay_verdicts_total", verdict="dead", reason="invalid_input", **of_model) == 1
    assert value("forebay_verdicts_total", verdict="release", reason="", **of_model) == 1
    assert value("forebay_refused_writes_total") == 2
    assert value("forebay_troubles_total") == 1
    assert told == ["the store is away"]


def test_an_open_circuit_is_shown_and_told_of() -> None:
    told: list[str] = []
    registry = CollectorRegistry()
    observer = PrometheusObserver(registry, told.append, lambda: 1_700_000_000.0)
    labels = {"model": "m", "version": "1"}
    observer.claimed([claim()])
    shown = [registry.get_sample_value("forebay_circuit_open", labels)]
    for moved in (Moved("m", "1", 20.0, "model_error: KeyError: 'x'"), Moved("m", "1", 0.0)):
        observer.circuit(moved)
        shown.append(registry.get_sample_value("forebay_circuit_open", labels))
    assert shown == [0, 1, 0]
    opened = "model m version 1 fails everything: circuit open, paused for 20 s, until 2023-11-14T22:13:40Z"
    closed = "model m version 1 answers again: circuit closed"
    assert told == [f"{opened}; the last failure: model_error: KeyError: 'x'", closed]
