"""Fetching: inputs that are kept elsewhere are brought while others run, so that nobody waits for a slow storage who needs
none of it. Leases are kept meanwhile: an item is held from its claim on."""

import random
import threading
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from pipelines.clock import Clock
from pipelines.flow.item import Item
from pipelines.flow.outbox import Entry, Outbox
from pipelines.payloads import keys
from pipelines.payloads.port import PayloadMissing, Payloads, PayloadsAway
from schemas.jobs import Claim
from schemas.model_spec import Limits
from schemas.reasons import Reason
from schemas.verdicts import Dead, Release, Verdict

PATIENCE_S = 2.0
"""When the oldest waits for longer, the storage is slow: what is beyond the allowance goes back."""
LEAST_DELAY_S = 2.0
MOST_DELAY_S = 300.0


class Allowance(Struct, frozen=True):
    """What a slow storage may keep of a worker's credits; the rest is for those who need none of it."""

    items: int
    size: int
    """Bytes."""


class Fetcher:
    """Thread-safe: intake puts and takes, several threads step, the heartbeat and a drain take away."""

    def __init__(
        self, payloads: Payloads, outbox: Outbox, clock: Clock, chance: random.Random, allowance: Allowance
    ) -> None:
        self._payloads = payloads
        self._outbox = outbox
        self._clock = clock
        self._chance = chance
        self._allowance = allowance
        self._waiting: deque[Item] = deque()
        self._running: dict[int, Item] = {}
        """By order."""
        self._fetched: list[Item] = []
        self._changed = threading.Condition()
        self.on_fetched: Callable[[], None] = lambda: None
        """Called when there is something to take."""

    def __len__(self) -> int:
        return len(self._waiting) + len(self._running) + len(self._fetched)

    def put(self, items: Sequence[Item]) -> None:
        with self._changed:
            self._waiting.extend(items)
            self._changed.notify_all()

    def take(self) -> list[Item]:
        """Those that have their input now. What the storage is too slow for goes back."""
        with self._changed:
            taken, self._fetched = self._fetched, []
            self._release(self._excess())
            self._drop([item for item in taken if item.lost])
            return [item for item in taken if not item.lost]

    def step(self, timeout: float = 0.0) -> int:
        """Fetch one, waiting up to `timeout` seconds for one to fetch; how many."""
        item = self._next(timeout)
        if item is None:
            return 0
        got = self._fetch(item.claim, item.served.limits)
        with self._changed:
            if self._running.pop(item.order, None) is None:
                return 1  # taken away meanwhile
            if isinstance(got, bytes):
                item.claim = replace(item.claim, inputs=got)
                self._fetched.append(item)
            else:
                self._outbox.put([Entry(item.delivery, got)])
        if isinstance(got, bytes):
            self.on_fetched()
        return 1

    def drop_lost(self) -> None:
        """What has no lease any more."""
        with self._changed:
            self._drop(self._take_away(lambda item: item.lost))

    def give_back(self) -> None:
        """Drain: all of it, no attempt spent."""
        with self._changed:
            self._outbox.put([Entry(item.delivery, Release()) for item in self._take_away(lambda item: True)])

    def _next(self, timeout: float) -> Item | None:
        with self._changed:
            if not self._waiting:
                self._changed.wait(timeout)
            if not self._waiting:
                return None
            item = self._waiting.popleft()
            self._running[item.order] = item
            return item

    def _fetch(self, claim: Claim, limits: Limits) -> bytes | Verdict:
        assert claim.inputs_ref is not None
        if (most := limits.max_upload_bytes) and claim.size > most and keys.is_upload(claim.inputs_ref):
            error = f"inputs: an upload of {claim.size} bytes, expected at most {most} (limits.max_upload_bytes)"
            return Dead(Reason.INVALID_INPUT, error)
        try:
            return self._payloads.get(claim.inputs_ref, claim.size)
        except (PayloadMissing, ValueError) as missing:
            return Dead(Reason.PAYLOAD_MISSING, str(missing))
        except PayloadsAway:
            return self._later(claim)

    def _excess(self) -> list[Item]:
        """The newest that wait; the oldest always stays, however large it is."""
        if not self._waiting or self._clock.monotonic() - self._waiting[0].arrived < PATIENCE_S:
            return []
        size = sum(item.claim.size for item in (*self._waiting, *self._running.values()))
        excess = []
        while len(self._waiting) > 1 and (
            len(self._waiting) + len(self._running) > self._allowance.items or size > self._allowance.size
        ):
            item = self._waiting.pop()
            size -= item.claim.size
            excess.append(item)
        return excess

    def _release(self, items: Sequence[Item]) -> None:
        self._outbox.put([Entry(item.delivery, self._later(item.claim)) for item in items])

    def _later(self, claim: Claim) -> Release:
        """The longer it has waited already, the later: rows count no releases, and a long backlog must not turn over and over."""
        longest = min(MOST_DELAY_S, max(LEAST_DELAY_S, claim.waited / 4))
        return Release(self._chance.uniform(longest / 2, longest))

    def _drop(self, items: Sequence[Item]) -> None:
        self._outbox.put([Entry(item.delivery, Release(), record=False) for item in items])

    def _take_away(self, unwanted: Callable[[Item], bool]) -> list[Item]:
        """What a thread is about to fetch of these is ignored when it comes."""
        gone = [item for item in (*self._waiting, *self._running.values(), *self._fetched) if unwanted(item)]
        orders = {item.order for item in gone}
        self._waiting = deque(item for item in self._waiting if item.order not in orders)
        self._running = {order: item for order, item in self._running.items() if order not in orders}
        self._fetched = [item for item in self._fetched if item.order not in orders]
        return gone
