"""Coalesced reads: jobs asked for together are read by one statement."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

from api.deps import Limits
from api.grouping import Group
from api.metrics import Metrics
from pipelines.store.port import Store
from schemas.jobs import JobView, Purged

Named = tuple[str, str]
"""Tenant and job id."""
Seen = JobView | Purged | None
"""None: no such job of this tenant."""
Reader = Group[Named, Seen]


class Kept(Protocol):
    """Results that were read before, kept beside the store."""

    def get(self, wanted: Sequence[Named]) -> dict[Named, JobView]:
        """Those of them that are kept. Never raises; answers within a tenth of a second. Called by one thread."""
        ...

    def keep(self, views: Sequence[JobView]) -> None:
        """Those among them that ended for good. Never waits, never raises."""
        ...


class Reads:
    """Two ways to read, each called by a thread of its own: what notices ask for must not wait behind what clients ask for."""

    def __init__(self, store: Store, kept: Kept | None, metrics: Metrics) -> None:
        self._store = store
        self._kept = kept
        self._metrics = metrics

    def asked(self, names: Sequence[Named]) -> list[Seen]:
        """What clients ask for: where results are kept, and the rest from the store."""
        if self._kept is None:
            return self.told_of(names)
        known = self._kept.get(names)
        self._metrics.read("redis", len(known))
        missing = [name for name in names if name not in known]
        found = dict(zip(missing, self.told_of(missing), strict=True)) if missing else {}
        return [known.get(name) or found.get(name) for name in names]

    def told_of(self, names: Sequence[Named]) -> list[Seen]:
        """What a notice told of, or who waits long: from the store, for what ended a moment ago is kept nowhere yet."""
        by_tenant: dict[str, set[str]] = defaultdict(set)
        for tenant, id in names:
            by_tenant[tenant].add(id)
        found = {tenant: self._store.read(tenant, list(ids)) for tenant, ids in by_tenant.items()}
        self._metrics.read("store", len(names), reads=len(by_tenant))
        if self._kept is not None:
            views = [view for seen in found.values() for view in seen.values()]
            self._kept.keep([view for view in views if isinstance(view, JobView)])
        return [found[tenant].get(id) for tenant, id in names]


def reader(name: str, read: Callable[[Sequence[Named]], list[Seen]], limits: Limits) -> Reader:
    # Results may be large: fewer per statement than there are rows in a commit.
    return Group(name, read, most=256, backlog=4 * limits.waiting, answer_within=limits.answer_within)
