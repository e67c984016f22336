"""One delivery under lease, on its way through this worker."""

from collections.abc import Hashable

from msgspec import Struct

from pipelines.flow.served import Prepared, Served
from pipelines.ports import Delivery
from schemas.jobs import Claim


class Item(Struct, gc=False):
    delivery: Delivery
    claim: Claim
    served: Served
    arrived: float
    """Monotonic seconds."""
    order: int
    """Counts arrivals in this worker: the tie-breaker that makes packing fair and repeatable."""
    prepared: Prepared | None = None
    """None until decoded. A suspect is decoded only once it was started, alone: decoding may be what takes its worker down."""
    lost: bool = False
    """The lease was lost or the job canceled: it leaves before predict."""

    @property
    def cost(self) -> float:
        return 1.0 if self.prepared is None else self.prepared.cost

    @property
    def group(self) -> Hashable:
        """Items of one group may share a batch."""
        likeness = None if self.prepared is None else self.prepared.likeness
        return (self.claim.model, self.claim.version, likeness)
