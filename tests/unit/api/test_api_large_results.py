"""Large results on their way: so many at once, not all of them one tenant's, and the process holds no others."""

import asyncio
import hashlib
from typing import Any

import msgspec
from api_driver import Api, Start, until

from api.keys import TENANT
from api.pace import Pace
from api.pieces import CUT, LARGE
from schemas.states import State

KEYS = {hashlib.sha256(name.encode()).hexdigest(): name for name in ("team-a", "team-b", "team-c")}
LONG = msgspec.json.encode({"y": "r" * 3 * LARGE})


class Client:
    """Takes nothing of its answer until it is told to."""

    def __init__(self, api: Api, tenant: str, id: str) -> None:
        self._api = api
        self.go = asyncio.Event()
        self.sent: list[Any] = []
        self.cut = False
        scope = {
            "type": "http", "method": "GET", "path": f"/result/{id}", "query_string": b"", TENANT: tenant, CUT: self._cut,
            "headers": [(b"x-api-key", tenant.encode())],
        }  # fmt: skip
        self._done = asyncio.run_coroutine_threadsafe(api.client.app(scope, self._receive, self._send), api.client.loop)

    @property
    def status(self) -> int:
        until(lambda: self.sent)
        return int(self.sent[0]["status"])

    def take(self) -> int:
        """All of it; its bytes."""
        self._api.client.loop.call_soon_threadsafe(self.go.set)
        self._done.result(10)
        assert [message.get("more_body", False) for message in self.sent[-2:]] == [True, False]
        return sum(len(message["body"]) for message in self.sent[1:])

    def _cut(self) -> None:
        self.cut = True

    async def _receive(self) -> Any:
        await self.go.wait()
        return {"type": "http.request"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)
        await self.go.wait()


def _succeeded(api: Api, tenant: str) -> str:
    """A job whose result is large, and in its row."""
    id: str = api.submit(x_api_key=tenant).json()["job_id"]
    view = api.store.rows[tenant, id]
    api.store.rows[tenant, id] = msgspec.structs.replace(view, state=State.SUCCEEDED, result=LONG)
    return id


def test_no_tenant_has_all_turns(start: Start) -> None:
    api = start(keys=KEYS, turn_within=0.05)
    ids = {tenant: _succeeded(api, tenant) for tenant in KEYS.values()}
    slow = [Client(api, "team-a", ids["team-a"]) for _ in range(16)]
    assert [client.status for client in slow] == [200] * 16
    assert Client(api, "team-a", ids["team-a"]).status == 429
    slow += [Client(api, "team-b", ids["team-b"]) for _ in range(16)]
    assert [client.status for client in slow] == [200] * 32
    assert Client(api, "team-c", ids["team-c"]).status == 429, "all turns are taken"
    assert api.submit(x_api_key="team-a").status_code == 202
    assert slow.pop().take() > len(LONG)
    last = Client(api, "team-c", ids["team-c"])
    assert last.status == 200
    assert {client.take() for client in (*slow, last)} == {len(LONG) + len(_frame(api, ids["team-a"]))}


def test_who_is_too_slow_is_cut_off_and_gives_its_turn_back(start: Start) -> None:
    api = start(keys=KEYS, pace=Pace(grace=0.05))
    id = _succeeded(api, "team-a")
    for _ in range(3):
        slow = [Client(api, "team-a", id) for _ in range(16)]
        until(lambda: all(client.cut for client in slow))  # noqa: B023  # called at once


def test_what_is_no_larger_than_what_the_server_holds_needs_no_turn(start: Start) -> None:
    api = start(pace=Pace(grace=0.01))
    id: str = api.submit().json()["job_id"]
    view = api.store.rows["default", id]
    result = b'"' + b"r" * (LARGE - 1000) + b'"'
    api.store.rows["default", id] = msgspec.structs.replace(view, state=State.SUCCEEDED, result=result)
    assert api.client.get(f"/result/{id}").json()["result"] == "r" * (LARGE - 1000)


def _frame(api: Api, id: str) -> bytes:
    """The answer but for its result."""
    whole = api.client.get(f"/result/{id}", headers={"x-api-key": "team-a"}).content
    return whole.replace(LONG, b"")
