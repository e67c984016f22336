"""How much lies in a queue on SQS, as SQS tells it: approximately."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class QueueDepth(Collector):
    """A gauge computed when it is scraped."""

    def __init__(self, depth: Callable[[], Mapping[tuple[str, str], int]]) -> None:
        """`depth`: messages by queue and state."""
        self._depth = depth

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "forebay_queue_messages", "Messages in the queue, as SQS tells", labels=["queue", "state"]
        )
        for labels, count in self._depth().items():
            gauge.add_metric(list(labels), count)
        yield gauge
