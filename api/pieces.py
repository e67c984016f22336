"""Large answers, a piece at a time: what a client has not taken stays with whoever sends it, and is given up with a client
that takes too long."""

import asyncio
from collections.abc import Sequence

from starlette.types import Scope, Send

from api.http import Disconnected, head
from api.pace import Pace
from api.problems import Header

PIECE = 64 << 10
"""Bytes. Beyond so many that are not taken (uvloop's high-water mark) the server lets `send` wait."""
LARGE = 2 * PIECE
"""Answers up to this are given to the server whole: no more than it holds of one that is sent in pieces."""
CUT = "forebay.cut"
"""Where in the ASGI scope is what closes the connection at once, with what was not sent."""


async def respond_in_pieces(
    scope: Scope, send: Send, status: int, body: bytes, headers: Sequence[Header], pace: Pace
) -> None:
    """Returns when the client has all but the last pieces. Raises Disconnected when it is slower than `pace`."""
    begun = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(pace.grace) as limit:
            await send(head(status, len(body), headers))
            for at in range(0, len(body), PIECE):
                limit.reschedule(begun + pace.due(at))
                # A copy: a view would keep the whole body until the last piece has left.
                piece = body[at : at + PIECE]
                await send({"type": "http.response.body", "body": piece, "more_body": at + PIECE < len(body)})
    except TimeoutError:
        if cut := scope.get(CUT):
            cut()
        raise Disconnected from None
