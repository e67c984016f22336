"""Payloads in memory: for seeded fault runs. Not durable, one process only."""

from collections.abc import Callable, Iterator, Sequence

from pipelines.payloads import keys
from pipelines.payloads.port import PayloadMissing, of_size

PAGE = 500


class MemoryPayloads:
    """See `pipelines.payloads.port.Payloads` and `Shelf`."""

    def __init__(self, now: Callable[[], float], fault: Callable[[str], None] = lambda key: None) -> None:
        """`fault` is called before each put and get, and may raise."""
        self._now = now
        self._fault = fault
        self.held: dict[str, bytes] = {}
        self._put_at: dict[str, float] = {}

    def put(self, key: str, data: bytes) -> None:
        self._fault(keys.check(key))
        self.hold(key, data)

    def hold(self, key: str, data: bytes) -> None:
        """Put, without faults."""
        self.held[key] = data
        self._put_at[key] = self._now()

    def get(self, key: str, size: int | None = None) -> bytes:
        self._fault(keys.check(key))
        data = self.held.get(key)
        if data is None:
            raise PayloadMissing(f"payload {key}: not in memory")
        of_size(key, size, len(data), "memory")
        return data

    def remove(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.held.pop(key, None)

    def older(self, age: float) -> Iterator[list[str]]:
        before = self._now() - age
        found = [key for key in self.held if self._put_at[key] <= before]
        for start in range(0, len(found), PAGE):
            yield found[start : start + PAGE]
