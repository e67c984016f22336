"""Lists that a line of a message has room for."""

from collections.abc import Sequence


def few(told: Sequence[str], most: int = 5) -> str:
    """The first of them, and how many more there are."""
    more = f"; and {len(told) - most} more" if len(told) > most else ""
    return "; ".join(told[:most]) + more
