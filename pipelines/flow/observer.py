"""What the flow tells about itself. The Prometheus one is in workers/metrics.py."""

from collections.abc import Sequence
from typing import Protocol

from pipelines.flow.breaker import Moved
from schemas.jobs import Claim
from schemas.verdicts import Verdict


class Observer(Protocol):
    def claimed(self, claims: Sequence[Claim]) -> None:
        """These are ours now."""
        ...

    def batch(self, model: str, version: str, size: int, seconds: float) -> None:
        """One batch ran, isolation included."""
        ...

    def recorded(self, verdicts: Sequence[tuple[Claim, Verdict]], refused: int) -> None:
        """These were committed; `refused`: how many belonged to somebody else by then."""
        ...

    def circuit(self, moved: Moved) -> None:
        """The breaker paused a model version, or lets it run again."""
        ...

    def trouble(self, what: str) -> None:
        """Something outside is away or odd; one line."""
        ...


class Unobserved:
    def claimed(self, claims: Sequence[Claim]) -> None: ...
    def batch(self, model: str, version: str, size: int, seconds: float) -> None: ...
    def recorded(self, verdicts: Sequence[tuple[Claim, Verdict]], refused: int) -> None: ...
    def circuit(self, moved: Moved) -> None: ...
    def trouble(self, what: str) -> None: ...
