"""A stream worker's metrics: by model and version, by topic and partition; never by record."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pipelines.stream.observer import StreamObserver
from pipelines.stream.positions import Partition

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZES = tuple(2**n for n in range(13))
_OF_MODEL = ("model", "version")
_OF_PARTITION = ("topic", "partition")


class StreamMetrics(StreamObserver):
    def __init__(
        self,
        registry: CollectorRegistry,
        model: str,
        version: str,
        now: Callable[[], float],
        tell: Callable[[str], None],
    ) -> None:
        """`now`: epoch seconds."""
        self._now = now
        self._tell = tell
        self._known: set[Partition] = set()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, (*_OF_MODEL, *labels), registry=registry)

        self._records = counter("forebay_stream_records", "Records answered or dead-lettered, committed.").labels(
            model, version
        )
        self._dead = counter("forebay_stream_dead_letters", "Dead letters written, by reason.", "reason")
        self._undone = counter("forebay_stream_undone", "Transactions that came to nothing.").labels(model, version)
        self._of = (model, version)
        self._sizes = Histogram(
            "forebay_batch_size", "Items per batch.", _OF_MODEL, buckets=_SIZES, registry=registry
        ).labels(model, version)
        self._compute = Histogram(
            "forebay_compute_seconds", "Time for a batch: decode, model, encode.", _OF_MODEL, buckets=_SECONDS,
            registry=registry,
        ).labels(model, version)  # fmt: skip
        self._commits = Histogram(
            "forebay_stream_commit_seconds", "Time of a commit.", _OF_MODEL, buckets=_SECONDS, registry=registry
        ).labels(model, version)
        self._lag = Gauge("forebay_stream_lag", "Records behind the partition's end.", _OF_PARTITION, registry=registry)
        self._watermark = Gauge(
            "forebay_stream_watermark_age_seconds",
            "Age of the last record committed.",
            _OF_PARTITION,
            registry=registry,
        )
        self._committed_at = Gauge("forebay_stream_last_commit", "Epoch seconds of the last commit.", registry=registry)

    def batch(self, records: int, dead: Mapping[str, int], seconds: float) -> None:
        self._sizes.observe(records)
        self._compute.observe(seconds)
        for reason, count in dead.items():
            self._dead.labels(*self._of, reason).inc(count)

    def committed(self, records: int, seconds: float) -> None:
        self._records.inc(records)
        self._commits.observe(seconds)
        self._committed_at.set(self._now())

    def undone(self, why: str) -> None:
        self._undone.inc()
        self._tell(f"transaction undone, reading again: {why}")

    def lag(self, lag: Mapping[Partition, int], watermarks: Mapping[Partition, float]) -> None:
        for partition in self._known - set(lag):  # another consumer's now: it tells of them
            self._lag.remove(*map(str, partition))
            self._watermark.remove(*map(str, partition))
        self._known = set(lag)
        now = self._now()
        for partition, behind in lag.items():
            labels = (partition[0], str(partition[1]))
            self._lag.labels(*labels).set(behind)
            age = 0.0 if behind == 0 else max(0.0, now - watermarks.get(partition, now))
            self._watermark.labels(*labels).set(age)
