"""The job table as the queue: receive is the claim, and a recorded verdict settles itself."""

from collections.abc import Sequence

from pipelines.ports import Delivery
from pipelines.store.port import Store
from schemas.verdicts import Verdict


class StoreQueue:
    def __init__(self, store: Store, models: Sequence[str], lease: float, most: int, most_bytes: int) -> None:
        """`most` and `most_bytes` bound one receive; `models` take turns, so that none starves another."""
        self._store = store
        self._models = list(models)
        self._lease = lease
        self._most = most
        self._most_bytes = most_bytes

    def receive(self, most: int) -> list[Delivery]:
        claims = self._store.claim_next(self._models, min(most, self._most), self._lease, self._most_bytes)
        self._models.append(self._models.pop(0))
        return [Delivery(receipt=claim.seq, claim=claim) for claim in claims]

    def extend(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """The store's lease is the only one, and the heartbeat has extended it already."""
        return list(deliveries)

    def settle(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        """Recording did it."""
