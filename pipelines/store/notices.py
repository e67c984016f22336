"""Notices wake who waits: workers when jobs came, long-polls when jobs ended.

A notice is a hint. Losing one costs at most the poll interval of who waits (1 s), never a job.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

OnWork: TypeAlias = Callable[[], None]
OnEnded: TypeAlias = Callable[[list[str]], None]


class Notices(Protocol):
    def work(self) -> None:
        """Jobs were committed. Cheap, never raises."""
        ...

    def ended(self, ids: Sequence[str]) -> None:
        """These jobs reached a terminal state. Cheap, never raises."""
        ...

    def listen(self, on_work: OnWork | None = None, on_ended: OnEnded | None = None) -> Callable[[], None]:
        """Call back from a thread of its own until the returned function is called."""
        ...
