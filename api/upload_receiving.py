"""What is put to an upload's address, straight to where it is kept: a chunk at a time, no slower than the least pace."""

import asyncio
import functools
from collections.abc import Callable
from typing import Any

from starlette.types import Receive

from api.calls import Calls
from api.http import CLOSE, Disconnected, too_large
from api.pace import Pace
from api.problems import Problem, invalid_body
from api.upload_address import UploadAddress
from pipelines.payloads import keys
from pipelines.payloads.port import Incoming, PayloadMissing, Receiving


class UploadReceiver:
    """Belongs to the event loop."""

    def __init__(self, carry: Calls, pace: Pace, clock: Callable[[], float]) -> None:
        """`clock`: epoch seconds."""
        self._carry = carry
        self._pace = pace
        self._clock = clock

    async def __call__(self, receiving: Receiving, address: UploadAddress, receive: Receive, limit: int) -> int:
        """Its bytes, once they are kept. Raises Problem, Disconnected."""
        incoming = await self._carry(lambda: receiving.receive(keys.of_upload(address.tenant, address.upload)))
        try:
            size = await self._written(incoming, address, receive, limit)
            if size == 0 or address.size not in (None, size):
                raise invalid_body(f"got {size} bytes, expected {address.size or 'some'}")
            await self._finish(incoming)
        finally:
            self._carry.behind(incoming.close)
        return size

    async def _written(self, incoming: Incoming, address: UploadAddress, receive: Receive, limit: int) -> int:
        begun, size, more = asyncio.get_running_loop().time(), 0, True
        while more:
            message = await self._next(receive, begun + self._pace.due(size))
            address.check_time(self._clock())
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise too_large(limit)
            await self._carry(functools.partial(incoming.write, chunk), len(chunk))
            more = message.get("more_body", False)
        return size

    async def _next(self, receive: Receive, until: float) -> Any:
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            detail = f"expected the upload at {self._pace.rate} bytes a second at least: ask for another address"
            raise Problem(408, "timeout", detail, headers=(CLOSE,)) from None
        if message["type"] == "http.disconnect":
            raise Disconnected
        return message

    async def _finish(self, incoming: Incoming) -> None:
        try:
            fresh = await self._carry(incoming.finish)
        except PayloadMissing as other:
            raise invalid_body(str(other), "sha256") from None
        if not fresh:
            raise Problem(412, "already-uploaded", "it stays as it is: ask for another address for something else")
