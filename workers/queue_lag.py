"""How far a worker is behind the end of its queue's topic, by partition."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class QueueLag(Collector):
    """A gauge computed when it is scraped."""

    def __init__(self, lag: Callable[[], Mapping[tuple[str, int], int]]) -> None:
        """`lag`: messages not settled, by topic and partition."""
        self._lag = lag

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "forebay_queue_lag", "Messages not settled, up to the partition's end", labels=["topic", "partition"]
        )
        for (topic, number), behind in self._lag().items():
            gauge.add_metric([topic, str(number)], behind)
        yield gauge
