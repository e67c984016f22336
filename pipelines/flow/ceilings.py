"""How many items of a group fit on the device, learned from running out of memory."""

from collections.abc import Hashable


class Ceilings:
    def __init__(self) -> None:
        self._most: dict[Hashable, int] = {}

    def learn(self, group: Hashable, size: int) -> None:
        """A batch of more than `size` ran out of memory."""
        self._most[group] = max(1, min(size, self._most.get(group, size)))

    def most(self, group: Hashable) -> int | None:
        """None: nothing is known against the largest batch."""
        return self._most.get(group)
