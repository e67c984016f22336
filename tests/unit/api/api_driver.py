"""The API over a fake store, on an event loop in a thread of its own, and a client without a network."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from api_fakes import CATALOG, FakeNotices, FakeOutlet, FakeStore

from api.app import build
from api.deps import Deps, Large, Limits, Scoring

T = TypeVar("T")
BODY: dict[str, Any] = {"model": "sum", "inputs": {"x": [1.0, 2.0, 3.0]}}


def until(true: Callable[[], object]) -> None:
    """Give the threads time until it is so; fails after 10 seconds."""
    last = time.monotonic() + 10
    while not true():
        assert time.monotonic() < last, "it never came to be"
        time.sleep(0.001)


class Client:
    """Calls from any thread; the application's lifespan lasts until `close`."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._lifespan = Lifespan(app)
        self.run(self._lifespan.start())
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://api")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        return self.run(self._http.request(method, path, **options))

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)

    def begin(self, method: str, path: str, **options: Any) -> Callable[[], httpx.Response]:
        """Send the request; the returned function waits for the answer."""
        running = asyncio.run_coroutine_threadsafe(self._http.request(method, path, **options), self.loop)
        return lambda: running.result(30)

    def close(self) -> None:
        self.run(self._http.aclose())
        self.run(self._lifespan.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class Lifespan:
    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app
        self._to_app: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()

    async def start(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._task = asyncio.ensure_future(self._app(scope, self._to_app.get, self._from_app.put))
        await self._to_app.put({"type": "lifespan.startup"})
        assert (await self._from_app.get())["type"] == "lifespan.startup.complete"

    async def stop(self) -> None:
        await self._to_app.put({"type": "lifespan.shutdown"})
        await self._task


@dataclass
class Api:
    client: Client
    store: FakeStore
    notices: FakeNotices
    outlet: FakeOutlet | None

    def submit(self, body: Any = None, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.post("/predict_async", json=BODY if body is None else body, headers=named)


class Start:
    """Builds an Api; closes them all at the end of the test."""

    def __init__(self) -> None:
        self._open: list[Client] = []

    def __call__(
        self,
        *,
        outlet: FakeOutlet | None = None,
        broker_fault: Callable[[], str | None] = lambda: None,
        keys: dict[str, str] | None = None,
        kept: Any = None,
        shared: Any = None,
        degrading: Sequence[Callable[[], str | None]] = (),
        large: Large | None = None,
        scoring: Scoring | None = None,
        clock: Callable[[], float] = time.time,
        **limits: Any,
    ) -> Api:
        store, notices = FakeStore(), FakeNotices()
        deps = Deps(
            store=store,  # type: ignore[arg-type]  # the part of it that the API uses
            catalog=CATALOG,
            notices=notices,
            outlet=outlet,
            broker_fault=broker_fault,
            keys=keys or {},
            limits=Limits(**limits),
            kept=kept,
            shared_rates=shared,
            degrading=degrading,
            large=large,
            scoring=scoring,
            clock=clock,
        )
        client = Client(build(deps))
        self._open.append(client)
        return Api(client, store, notices, outlet)

    def close(self) -> None:
        while self._open:
            self._open.pop().close()
