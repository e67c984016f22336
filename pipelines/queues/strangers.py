"""What came on a queue and is no message of ours: jobs of direct producers get their rows, the rest is kept as it came. The
queue moves on past either only then."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeAlias

from pipelines.admission.direct import Adopted, Direct
from pipelines.ports import Delivery, Message
from pipelines.queues.envelopes import Found
from pipelines.store.port import StoreAway
from schemas.strays import Stray

Keep: TypeAlias = Callable[[Sequence[Stray]], None]
"""Where strays are kept, once each. Raises StoreAway: it is called again."""
Adopt: TypeAlias = Callable[[Sequence[Direct]], Sequence[Adopted]]
"""Makes rows. Raises StoreAway: it is called again."""


class Arrived(Protocol):
    @property
    def receipt(self) -> Any: ...
    @property
    def found(self) -> Found: ...


class Strangers:
    """Used by the thread that receives."""

    def __init__(self, keep: Keep, adopt: Adopt) -> None:
        self._keep = keep
        self._adopt = adopt
        self._directs: list[tuple[Any, Direct]] = []
        self._strays: list[tuple[Any, Stray]] = []

    def __len__(self) -> int:
        return len(self._directs) + len(self._strays)

    def put(self, receipt: Any, found: Direct | Stray) -> None:
        if isinstance(found, Direct):
            self._directs.append((receipt, found))
        else:
            self._strays.append((receipt, found))

    def receive(
        self, most: int, take: Callable[[int], Iterable[Arrived]], settle: Callable[[Sequence[Any]], None]
    ) -> list[Delivery]:
        """What a queue hands out: up to `most`, jobs of others among them. `take`: the queue's next, at most so many.
        Raises StoreAway while rows cannot be made or strays kept."""
        deliveries = self._settled(most, settle)
        for arrival in take(most - len(deliveries) - len(self)):
            if isinstance(arrival.found, Message):
                deliveries.append(Delivery(arrival.receipt, arrival.found))
            else:
                self.put(arrival.receipt, arrival.found)
        with suppress(StoreAway):  # what came along is not held up; the next receive tries again
            deliveries += self._settled(most - len(deliveries), settle)
        return deliveries

    def _settled(self, most: int, settle: Callable[[Sequence[Any]], None]) -> list[Delivery]:
        if not self:
            return []
        settle(self.keep())
        return self.adopt(most)

    def adopt(self, most: int) -> list[Delivery]:
        """Up to `most` of the jobs, as messages of ours. Raises StoreAway with everything kept for the next call."""
        some = self._directs[:most]
        if not some:
            return []
        adopted = self._adopt([direct for _, direct in some])
        del self._directs[: len(some)]
        deliveries = []
        for (receipt, _), made in zip(some, adopted, strict=True):
            if isinstance(made, Message):
                deliveries.append(Delivery(receipt, made))
            else:
                self._strays.append((receipt, made))
        return deliveries

    def keep(self) -> list[Any]:
        """Keep the strays; their receipts may be settled now. Raises StoreAway with everything kept for the next call."""
        if not self._strays:
            return []
        self._keep([stray for _, stray in self._strays])
        receipts = [receipt for receipt, _ in self._strays]
        self._strays = []
        return receipts
