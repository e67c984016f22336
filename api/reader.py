"""Coalesced reads: jobs asked for together are read by one statement."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from api.deps import Limits
from api.grouping import Group
from api.metrics import Metrics
from pipelines.store.port import Store
from schemas.jobs import JobView, Purged

Named = tuple[str, str]
"""Tenant and job id."""
Seen = JobView | Purged | None
"""None: no such job of this tenant."""


class Wanted(NamedTuple):
    tenant: str
    id: str
    kept: bool = True
    """Whether it may be kept in Redis. Not what a notice told of just now: that would be asked for twice."""


Reader = Group[Wanted, Seen]


class Kept(Protocol):
    """Results that were read before, kept beside the store."""

    def get(self, wanted: Sequence[Named]) -> dict[Named, JobView]:
        """Those of them that are kept. Never raises; answers within a tenth of a second. Called by one thread."""
        ...

    def keep(self, views: Sequence[JobView]) -> None:
        """Those among them that ended for good. Never waits, never raises."""
        ...


def reader(store: Store, limits: Limits, kept: Kept | None, metrics: Metrics) -> Reader:
    def read(wanted: list[Wanted]) -> list[Seen]:
        names = [(one.tenant, one.id) for one in wanted]
        known: dict[Named, JobView] = {}
        if kept is not None and (likely := [name for name, one in zip(names, wanted, strict=True) if one.kept]):
            known = kept.get(likely)
            metrics.read("redis", len(known))
        missing = [name for name in names if name not in known]
        found = read_store(missing) if missing else {}
        return [known.get(name) or found.get(name) for name in names]

    def read_store(names: Sequence[Named]) -> dict[Named, Seen]:
        by_tenant: dict[str, set[str]] = defaultdict(set)
        for tenant, id in names:
            by_tenant[tenant].add(id)
        found: dict[Named, Seen] = {}
        for tenant, ids in by_tenant.items():
            seen = store.read(tenant, list(ids))
            found |= {(tenant, id): one for id, one in seen.items()}
        metrics.read("store", len(names), reads=len(by_tenant))
        if kept is not None:
            kept.keep([view for view in found.values() if isinstance(view, JobView)])
        return found

    # Results may be large: fewer per statement than there are rows in a commit.
    return Group("reader", read, most=256, backlog=4 * limits.waiting, answer_within=limits.answer_within)
