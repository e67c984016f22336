"""Packing: which waiting items go together next. Pure: no clock of its own, no locks.

The lead of a batch is the item of the highest priority that arrived first. Its batch is filled from its own group, up to
the group's size and cost, with items of like cost first, so that little is spent on padding; the lead itself always
goes, so the oldest is never starved.
"""

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import chain, groupby
from operator import attrgetter

from pipelines.flow.item import Item

_group = attrgetter("group")
_cost = attrgetter("cost")
_priority = attrgetter("claim.priority")


class Lane:
    """The waiting items of one group, by priority and arrival."""

    def __init__(self) -> None:
        self.by_priority: dict[int, deque[Item]] = {}
        self.size = 0
        self.costs: Counter[float] = Counter()
        """How many wait at each cost: one entry means that any of them is alike."""

    def add(self, items: Sequence[Item]) -> None:
        for priority, alike in groupby(items, _priority):
            self.by_priority.setdefault(priority, deque()).extend(alike)
        self.costs.update(map(_cost, items))
        self.size += len(items)

    def lead(self) -> Item:
        return self.by_priority[max(self.by_priority)][0]

    def pop(self, most: int, max_cost: float | None) -> list[Item]:
        """The lead and its company. `max_cost` bounds items × the dearest of them."""
        if len(self.costs) == 1:
            chosen = self._first(self._room(most, max_cost))
        else:
            chosen = self._alike(most, max_cost)
            self._remove(chosen)
        self._forget(chosen)
        return chosen

    def is_full(self, most: int, max_cost: float | None) -> bool:
        """Whether more waits than `pop` would take, or just as much as it may."""
        if len(self.costs) == 1:
            return self.size >= self._room(most, max_cost)
        return self.size >= most or len(self._alike(most, max_cost)) < self.size

    def items(self) -> Iterator[Item]:
        return chain.from_iterable(self.by_priority.values())

    def drop(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        dropped = [item for waiting in self.by_priority.values() for item in waiting if unwanted(item)]
        if dropped:
            self._remove(dropped)
            self._forget(dropped)
        return dropped

    def _room(self, most: int, max_cost: float | None) -> int:
        """Where all cost the same."""
        return most if max_cost is None else min(most, max(1, int(max_cost / next(iter(self.costs)))))

    def _first(self, most: int) -> list[Item]:
        chosen: list[Item] = []
        for priority in sorted(self.by_priority, reverse=True):
            waiting = self.by_priority[priority]
            chosen += [waiting.popleft() for _ in range(min(most - len(chosen), len(waiting)))]
            if not waiting:
                del self.by_priority[priority]
        return chosen

    def _alike(self, most: int, max_cost: float | None) -> list[Item]:
        lead = self.lead()
        everyone = [item for waiting in self.by_priority.values() for item in waiting if item is not lead]
        # Nearest in cost first; a higher priority goes before a nearer cost.
        everyone.sort(key=lambda item: (-item.claim.priority, abs(item.cost - lead.cost), item.order))
        chosen, dearest = [lead], lead.cost
        for item in everyone:
            if len(chosen) >= most:
                break
            dearer = max(dearest, item.cost)
            if max_cost is None or (len(chosen) + 1) * dearer <= max_cost:
                chosen.append(item)
                dearest = dearer
        return chosen

    def _remove(self, items: Sequence[Item]) -> None:
        gone = {item.order for item in items}
        for priority in list(self.by_priority):
            left = deque(item for item in self.by_priority[priority] if item.order not in gone)
            if left:
                self.by_priority[priority] = left
            else:
                del self.by_priority[priority]

    def _forget(self, items: Sequence[Item]) -> None:
        self.size -= len(items)
        alike = {next(iter(self.costs)): len(items)} if len(self.costs) == 1 else Counter(map(_cost, items))
        for cost, count in alike.items():
            self.costs[cost] -= count
            if not self.costs[cost]:
                del self.costs[cost]


class Packer:
    """Everything that waits in this worker. Suspects wait in a queue of their own: they run alone."""

    def __init__(self) -> None:
        self.lanes: dict[Hashable, Lane] = {}
        self.suspects: deque[Item] = deque()

    def __len__(self) -> int:
        return sum(lane.size for lane in self.lanes.values()) + len(self.suspects)

    def add(self, items: Sequence[Item]) -> None:
        others = items
        if any([item.claim.starts or item.claim.lost for item in items]):  # noqa: C419  # a list is quicker here
            self.suspects.extend(item for item in items if item.claim.suspect)
            others = [item for item in items if not item.claim.suspect]
        for group, alike in groupby(others, _group):
            lane = self.lanes.get(group)
            if lane is None:
                lane = self.lanes[group] = Lane()
            lane.add(list(alike))

    def leads(self) -> list[Item]:
        """One of each group, in turn: the highest priority, then the first to arrive."""
        leads = [lane.lead() for lane in self.lanes.values()]
        if self.suspects:
            leads.append(self.suspects[0])
        if len(leads) > 1:
            leads.sort(key=lambda item: (-item.claim.priority, item.order))
        return leads

    def is_full(self, lead: Item, ceiling: int | None = None) -> bool:
        """Whether waiting makes the batch of this lead no larger."""
        return self.lanes[lead.group].is_full(_most(lead, ceiling), lead.served.batching.max_batch_cost)

    def company(self, lead: Item) -> Iterator[Item]:
        """All that may go with it, itself included."""
        return self.lanes[lead.group].items()

    def pop(self, lead: Item, ceiling: int | None = None) -> list[Item]:
        """Take the batch of this lead. `ceiling`: the most that fit on the device, as it was learned."""
        if lead.claim.suspect:
            return [self.suspects.popleft()]
        lane = self.lanes[lead.group]
        chosen = lane.pop(_most(lead, ceiling), lead.served.batching.max_batch_cost)
        if not lane.size:
            del self.lanes[lead.group]
        return chosen

    def drop(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """Take out every item that is unwanted."""
        dropped = [item for item in self.suspects if unwanted(item)]
        if dropped:
            self.suspects = deque(item for item in self.suspects if not unwanted(item))
        for group, lane in list(self.lanes.items()):
            dropped += lane.drop(unwanted)
            if not lane.size:
                del self.lanes[group]
        return dropped


def _most(lead: Item, ceiling: int | None) -> int:
    size = lead.served.batching.max_batch_size
    return size if ceiling is None else min(size, ceiling)
