"""Runs the same test on `Client` and `AsyncClient`, against an API in memory, without waiting for time."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from forebay_client import AsyncClient, Client
from forebay_client.timing import Clocks

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Time:
    """A clock that only sleeping moves, and the sleeps."""

    at: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    def clocks(self) -> Clocks:
        return Clocks(self.now, self.now, lambda _low, high: high)


@dataclass
class Driver:
    """`driver(handler).submit(…)` works alike for both clients; what they yield comes back as a list."""

    asynchronous: bool
    time: Time = field(default_factory=Time)
    requests: list[httpx.Request] = field(default_factory=list)
    handler: Handler | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, handler: Handler, **options: Any) -> "Driver":
        return replace(self, handler=handler, options=options)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *given, **named: self._call(name, given, named)

    def _call(self, name: str, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        transport = httpx.MockTransport(self._record)
        options = {"transport": transport, "clocks": self.time.clocks(), **self.options}
        if not self.asynchronous:
            with Client("http://forebay", sleep=self.time.sleep, **options) as client:
                answer = getattr(client, name)(*given, **named)
                return list(answer) if hasattr(answer, "__next__") else answer
        return asyncio.run(self._call_async(name, given, named, options))

    async def _call_async(
        self, name: str, given: tuple[Any, ...], named: dict[str, Any], options: dict[str, Any]
    ) -> Any:
        async with AsyncClient("http://forebay", sleep=self.time.sleep_async, **options) as client:
            answer = getattr(client, name)(*given, **named)
            return [one async for one in answer] if hasattr(answer, "__anext__") else await answer

    def _record(self, request: httpx.Request) -> httpx.Response:
        assert self.handler is not None
        self.requests.append(request)
        return self.handler(request)


def accepted(id: str = "a") -> dict[str, Any]:
    links = {"self": f"/result/{id}", "result": f"/result/{id}", "cancel": f"/result/{id}/cancel"}
    return {"job_id": id, "status": "queued", "model": "m", "version": "1", "links": links}


def standing(id: str = "a", status: str = "succeeded", **more: Any) -> dict[str, Any]:
    result = {"result": {"y": id}} if status == "succeeded" else {}
    timings = {"submitted_at": "2026-11-20T10:00:00.25Z".replace(".25Z", ".250000Z")}
    return {**accepted(id), "status": status, "attempt": 1, "generation": 0, "timings": timings, **result, **more}


def problem(status: int, kind: str = "x", field: str | None = None, **headers: str) -> httpx.Response:
    errors = [{"field": field, "message": "wrong"}] if field else []
    body = {"type": f"/problems/{kind}", "title": "T", "status": status, "detail": f"it is {kind}", "errors": errors}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(
        status, content=json.dumps(body), headers={"content-type": "application/problem+json", **named}
    )


def body_of(request: httpx.Request) -> Any:
    return json.loads(request.content)
