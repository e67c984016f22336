"""What the lane tells of itself. The Prometheus one is in workers/stream_metrics.py."""

from collections.abc import Mapping, Sequence

from pipelines.stream.positions import Partition


class StreamObserver:
    """Tells nobody; others override what they care for."""

    def batch(self, records: int, dead: Mapping[str, int], seconds: float) -> None:
        """A batch was run and written; `dead`: dead letters by reason. Nothing of it is committed yet."""

    def committed(self, records: int, seconds: float) -> None:
        """Output, dead letters and offsets are there, `seconds` after the commit was begun."""

    def undone(self, why: str) -> None:
        """A transaction came to nothing; its records are read again."""

    def lag(self, lag: Mapping[Partition, int], watermarks: Mapping[Partition, float]) -> None:
        """Of each partition that is ours: records behind its end, and the timestamp of the last one run (epoch seconds)."""


class Several(StreamObserver):
    """Tells each of these."""

    def __init__(self, observers: Sequence[StreamObserver]) -> None:
        self._observers = observers

    def batch(self, records: int, dead: Mapping[str, int], seconds: float) -> None:
        for each in self._observers:
            each.batch(records, dead, seconds)

    def committed(self, records: int, seconds: float) -> None:
        for each in self._observers:
            each.committed(records, seconds)

    def undone(self, why: str) -> None:
        for each in self._observers:
            each.undone(why)

    def lag(self, lag: Mapping[Partition, int], watermarks: Mapping[Partition, float]) -> None:
        for each in self._observers:
            each.lag(lag, watermarks)
