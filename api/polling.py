"""GET /result/{job_id}: the job as it is now, or as soon as it ends."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import parse_qs

from starlette.types import Receive, Scope, Send

from api.bodies import encode, result_body
from api.claim_check import ClaimCheck
from api.deps import Limits
from api.grouping import Full
from api.http import RETRY_AFTER, Disconnected, gone, headers_of, respond
from api.keys import TENANT
from api.pieces import LARGE, respond_in_pieces
from api.preferences import applied, preferred_wait, wait_seconds
from api.problems import Header, bad_request, overloaded, purged, store_away, unknown_job
from api.reader import Reader, Seen
from api.turns import Turns
from api.waiting import Waiter, Waiting, ended
from pipelines.store.port import StoreAway
from schemas.jobs import JobView, is_id
from schemas.states import TERMINAL

T = TypeVar("T")
PREFIX = "/result/"
_AT_ONCE, _OF_ONE_TENANT = 32, 16
"""Large results on their way to clients: each is in memory until its client has taken it."""


class Polling:
    def __init__(self, reader: Reader, waiting: Waiting[Seen], claim_check: ClaimCheck, limits: Limits) -> None:
        self._reader = reader
        self._claim_check = claim_check
        self.waiting = waiting
        self._limits = limits
        self._turns = Turns("large results", _AT_ONCE, _OF_ONE_TENANT, limits.turn_within)

    async def get(self, scope: Scope, receive: Receive, send: Send) -> int:
        id = scope["path"][len(PREFIX) :]
        if not is_id(id):
            raise unknown_job()
        wait = wait_of(scope, self._limits.wait)
        view = await self.result(scope[TENANT], id, wait or 0.0, receive)
        return await self.answer(view, scope, send, () if wait is None else (applied(wait),))

    async def result(self, tenant: str, id: str, wait: float, receive: Receive) -> Seen:
        """What there is of the job; the job ended, or `wait` seconds passed, or it was never there."""
        if not wait:
            return await self._read(tenant, id)
        waiter = self.waiting.register(tenant, id)
        try:
            seen = await self._read(tenant, id)
            if seen is None or ended(seen):
                return seen
            return await until_ended(waiter, wait, receive) or seen
        finally:
            self.waiting.forget(waiter)

    async def answer(self, view: Seen, scope: Scope, send: Send, headers: Sequence[Header] = ()) -> int:
        if not isinstance(view, JobView):
            raise unknown_job() if view is None else purged()
        over = view.state in TERMINAL
        status, headers = (200, headers) if over else (202, (*headers, RETRY_AFTER))
        body = None if view.result_ref is not None else encode(result_body(view))
        if body is not None and len(body) <= LARGE:
            await respond(send, status, body, headers)
            return status
        async with self._turns.of(view.tenant):
            body = body or encode(result_body(await self._claim_check.whole(view)))
            await respond_in_pieces(scope, send, status, body, headers, self._limits.pace)
        return status

    async def _read(self, tenant: str, id: str) -> Seen:
        try:
            return (await self._reader.ask([(tenant, id)]))[0]
        except Full as full:
            raise overloaded(f"{full}: try again later") from None
        except StoreAway as away:
            raise store_away(str(away)) from None


async def until_ended(waiter: Waiter[T], wait: float, receive: Receive) -> T | None:
    """How it ended, or None after `wait` seconds. Raises Disconnected when the client went away."""
    leaving = asyncio.ensure_future(gone(receive))
    try:
        await asyncio.wait((waiter.future, leaving), timeout=wait, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
    if waiter.future.done():
        return waiter.future.result()
    if leaving.done() and not leaving.cancelled():
        raise Disconnected
    return None


def wait_of(scope: Scope, most: float) -> float | None:
    """The query's `wait`, else `Prefer: wait`, cut to `most` seconds; None without either."""
    query = scope["query_string"]
    if not query:
        headers = headers_of(scope)
        return preferred_wait(headers, most)
    try:
        found = parse_qs(query.decode("ascii"), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        raise bad_request("the query string is malformed") from None
    if unknown := sorted(set(found) - {"wait"}):
        raise bad_request(f"unknown query parameter {unknown[0][:64]!r}: expected wait", unknown[0][:64])
    if len(found.get("wait", ())) != 1:
        raise bad_request("expected wait once", "wait")
    return wait_seconds(found["wait"][0], most)
