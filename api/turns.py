"""Turns: so many of something costly at once, and no tenant has them all."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.problems import overloaded


class Turns:
    """Belongs to the event loop."""

    def __init__(self, what: str, most: int, each: int, within: float) -> None:
        """`most` at once, `each` of one tenant. `within`: seconds that one may wait for its turn."""
        self._what = what
        self._within = within
        self._all = asyncio.Semaphore(most)
        self._own: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(each))

    @asynccontextmanager
    async def of(self, tenant: str) -> AsyncIterator[None]:
        """Raises 429 when there was none in time."""
        own = self._own[tenant]
        try:
            async with asyncio.timeout(self._within):
                await self._acquire(own)
        except TimeoutError:
            raise overloaded(f"too many {self._what} at once: try again later") from None
        try:
            yield
        finally:
            self._all.release()
            own.release()

    async def _acquire(self, own: asyncio.Semaphore) -> None:
        # The tenant's first: who waits for it takes nothing from other tenants.
        await own.acquire()
        try:
            await self._all.acquire()
        except BaseException:
            own.release()
            raise
