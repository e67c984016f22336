"""Admission by rate: so many jobs per tenant and time, counted together with the other replicas where there is Redis."""

import math
from collections.abc import Callable
from typing import Protocol

from api.grouping import Full, Group
from api.problems import Problem
from pipelines.rate import Buckets, Rate
from pipelines.store.port import StoreAway

_ANSWER_WITHIN_S = 0.2
"""Shared buckets that say nothing for so long are done without."""

Wanted = tuple[str, int]
"""Tenant and jobs."""


class Shared(Protocol):
    def take(self, wanted: list[Wanted]) -> list[float | None]:
        """0: taken; seconds until it could be; None: it cannot say. Called by one thread, never raises."""
        ...


class Rates:
    """Belongs to the event loop. Shared buckets are asked by a thread, for all requests at once; a bucket of this process's
    own serves while they are away."""

    def __init__(self, rate: Rate | None, shared: Shared | None, monotonic: Callable[[], float]) -> None:
        self._own = None if rate is None else Buckets(rate, monotonic)
        self._shared: Group[Wanted, float | None] | None = None
        if rate is not None and shared is not None:
            self._shared = Group("rates", shared.take, answer_within=_ANSWER_WITHIN_S)

    def start(self) -> None:
        if self._shared is not None:
            self._shared.start()

    async def stop(self) -> None:
        if self._shared is not None:
            await self._shared.stop(1.0)

    async def take(self, tenant: str, jobs: int) -> None:
        """Raises 429 when the tenant has had its share: nothing is taken then."""
        if self._own is None:
            return
        wait = None if self._shared is None else await self._ask(self._shared, (tenant, jobs))
        if wait is None:
            wait = self._own.take(tenant, jobs)
        if wait > 0:
            raise too_many(wait)

    async def _ask(self, shared: Group[Wanted, float | None], wanted: Wanted) -> float | None:
        try:
            return (await shared.ask([wanted]))[0]
        except (Full, StoreAway):
            return None


def too_many(wait: float) -> Problem:
    seconds = math.ceil(wait)
    return Problem(
        429, "rate-limited", f"more jobs than the rate limit allows: try again in {seconds} s",
        headers=((b"retry-after", b"%d" % seconds),),
    )  # fmt: skip
