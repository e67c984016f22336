"""Strays that a worker came by: counted, and told, so that nobody looks in vain for what was put on the queue."""

from collections import Counter as Tally
from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter

from pipelines.queues.strangers import Keep
from pipelines.seldom import Seldom
from schemas.strays import Stray

SAY_EVERY_S = 60.0


class StraysSeen:
    """Keeps them as `keep` does. A message that comes again before it was settled counts again."""

    def __init__(
        self, keep: Keep, registry: CollectorRegistry, tell: Callable[[str], None], monotonic: Callable[[], float]
    ) -> None:
        self._keep = keep
        self._tell = tell
        self._seldom = Seldom(monotonic, SAY_EVERY_S)
        self._count = Counter(
            "forebay_strays_total", "Messages that name no job, kept raw.", ("queue",), registry=registry
        )

    def __call__(self, strays: Sequence[Stray]) -> None:
        """Raises StoreAway: nothing was kept, and nothing is told."""
        self._keep(strays)
        last = {stray.source: stray for stray in strays}
        for source, count in Tally(stray.source for stray in strays).items():
            self._count.labels(source).inc(count)
            if due := self._seldom.due(source, count):
                self._tell(_line(last[source], due))


def _line(last: Stray, count: int) -> str:
    if count == 1:
        told = f"a message that cannot be read was kept raw: {last.error}"
    else:
        told = f"{count} messages that cannot be read were kept raw; the last: {last.error}"
    return f"queue {last.source!r}: {told}; see `forebay dlq ls --strays`"
