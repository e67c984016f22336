"""Queues as they are named, without SQS's client."""

from msgspec import Struct

FIFO = ".fifo"
"""The end of a FIFO queue's name, by SQS's rule."""


class Named(Struct, frozen=True):
    """A queue as settings name it."""

    name: str
    account: str | None = None
    """None: that of the credentials."""

    @property
    def fifo(self) -> bool:
        return self.name.endswith(FIFO)

    @property
    def dead(self) -> "Named":
        """The dead-letter queue that `forebay queue create` makes beside it: FIFO as well, by SQS's rule."""
        stem = self.name.removesuffix(FIFO)
        return Named(f"{stem}-dlq{FIFO if self.fifo else ''}", self.account)
