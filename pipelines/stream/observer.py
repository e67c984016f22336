"""What the lane tells of itself. The Prometheus one is in workers/stream_metrics.py."""

from collections.abc import Mapping

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
