"""Coalesced reads: jobs asked for together are read by one statement."""

from collections import defaultdict

from api.deps import Limits
from api.grouping import Group
from pipelines.store.port import Store
from schemas.jobs import JobView, Purged

Named = tuple[str, str]
"""Tenant and job id."""
Seen = JobView | Purged | None
"""None: no such job of this tenant."""
Reader = Group[Named, Seen]


def reader(store: Store, limits: Limits) -> Reader:
    def read(wanted: list[Named]) -> list[Seen]:
        by_tenant: dict[str, set[str]] = defaultdict(set)
        for tenant, id in wanted:
            by_tenant[tenant].add(id)
        found = {tenant: store.read(tenant, list(ids)) for tenant, ids in by_tenant.items()}
        return [found[tenant].get(id) for tenant, id in wanted]

    # Results may be large: fewer per statement than there are rows in a commit.
    return Group("reader", read, most=256, backlog=4 * limits.waiting, answer_within=limits.answer_within)
