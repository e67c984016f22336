"""The client for asyncio: the same names as `Client`, to be awaited."""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import httpx

from forebay_client.encoding import Options
from forebay_client.problems import Problem
from forebay_client.results import Job, Result
from forebay_client.retries import DEFAULT_RETRIES, Retries
from forebay_client.scoring import ScoringOptions, ScoringRun
from forebay_client.scoring_steps import AllOperations
from forebay_client.steps import Call, Reply, Sleep, Steps
from forebay_client.timing import REAL, Clocks
from forebay_client.transport import EVERYWHERE, for_tasks, request_options, settings

T = TypeVar("T")


class AsyncClient:
    """Submits jobs to a Forebay server and fetches their results. `Client` documents each method."""

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        timeout: float = 10.0,
        retries: Retries | int = DEFAULT_RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        clocks: Clocks = REAL,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        mounts = {EVERYWHERE: for_tasks()} if transport is None else None
        self._http = httpx.AsyncClient(**settings(base_url, key), transport=transport, mounts=mounts)
        self._timeout = timeout
        self._sleep = sleep
        self._do = AllOperations(retries if isinstance(retries, Retries) else Retries(retries), clocks)

    async def submit(
        self,
        model: str,
        inputs: Any,
        *,
        version: str | None = None,
        priority: int | None = None,
        expires_in: float | None = None,
        idempotency_key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        webhook: Any = None,
        wait: float | None = None,
    ) -> Job:
        """Submit one item."""
        options = Options(version, priority, expires_in, webhook, metadata)
        return await self._run(self._do.submit(model, inputs, options, idempotency_key, wait))

    async def submit_many(
        self,
        model: str,
        inputs: Sequence[Any],
        *,
        version: str | None = None,
        priority: int | None = None,
        expires_in: float | None = None,
        idempotency_keys: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        webhook: Any = None,
    ) -> list[Job | Problem]:
        """Submit many items in as few requests as possible: per item, in order, its job or why it was refused."""
        options = Options(version, priority, expires_in, webhook, metadata)
        return await self._run(self._do.submit_many(model, inputs, options, idempotency_keys))

    async def result(self, job: Job | str, wait: float | None = None) -> Result:
        """One look, which the server may hold for up to `wait` seconds."""
        return await self._run(self._do.result(job, wait))

    async def wait(self, job: Job | str, timeout: float | None = None) -> Result:
        """The result, once the job ended. Raises JobTimeout after `timeout` seconds."""
        return await self._run(self._do.wait(job, timeout))

    async def cancel(self, job: Job | str) -> Result:
        """Cancel what is queued or running."""
        return await self._run(self._do.cancel(job))

    async def predict(
        self, model: str, inputs: Any, *, version: str | None = None, priority: int | None = None,
        expires_in: float | None = None, timeout: float | None = 60.0,
    ) -> dict[str, Any]:  # fmt: skip
        """Submit, wait, and return the outputs by name."""
        return await self._run(self._do.predict(model, inputs, Options(version, priority, expires_in), timeout))

    def map(
        self, model: str, inputs: Iterable[Any] | AsyncIterable[Any], *, in_flight: int = 64, version: str | None = None,
        priority: int | None = None, expires_in: float | None = None, timeout: float | None = None, ordered: bool = True,
    ) -> AsyncIterator[Result]:  # fmt: skip
        """The result of each item, in order; at most `in_flight` jobs are open at a time."""
        if in_flight < 1:
            raise ValueError(f"in_flight: expected at least 1, got {in_flight}")
        options = Options(version, priority, expires_in)
        return self._map(
            lambda item: self._run(self._do.run(model, item, options, timeout)), inputs, in_flight, ordered
        )

    async def jobs(
        self, *, state: str | None = None, model: str | None = None, version: str | None = None,
        since: datetime | None = None, until: datetime | None = None, page: int = 100,
    ) -> AsyncIterator[Result]:  # fmt: skip
        """Jobs without their outputs, newest first, fetched page by page as they are drawn."""
        filters = {"state": state, "model": model, "version": version, "since": since, "until": until, "limit": page}
        cursor: str | None = None
        while True:
            items, cursor = await self._run(self._do.page(filters, cursor))
            for item in items:
                yield item
            if cursor is None:
                return

    async def score(
        self,
        model: str,
        input: str,
        output: str,
        *,
        run_id: str | None = None,
        version: str | None = None,
        where: str | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
        passthrough: Sequence[str] | None = None,
        max_rejects: float | None = None,
        skip_corrupt: bool | None = None,
        overwrite: bool | None = None,
    ) -> ScoringRun:
        """Submit a scoring run."""
        options = ScoringOptions(version, where, columns, passthrough, max_rejects, skip_corrupt, overwrite)
        return await self._run(self._do.score(model, input, output, run_id, options))

    async def scoring_run(self, run: ScoringRun | str, wait: float | None = None) -> ScoringRun:
        """One look, which the server may hold for up to `wait` seconds."""
        return await self._run(self._do.scoring_run(run, wait))

    async def wait_scoring_run(self, run: ScoringRun | str, timeout: float | None = None) -> ScoringRun:
        """The run, once it ended. Raises ScoringRunTimeout after `timeout` seconds."""
        return await self._run(self._do.wait_scoring_run(run, timeout))

    async def cancel_scoring_run(self, run: ScoringRun | str) -> ScoringRun:
        """Cancel what is queued, or ask what is running to stop."""
        return await self._run(self._do.cancel_scoring_run(run))

    async def scoring_runs(
        self, *, state: str | None = None, model: str | None = None, version: str | None = None,
        since: datetime | None = None, until: datetime | None = None, page: int = 100,
    ) -> AsyncIterator[ScoringRun]:  # fmt: skip
        """Scoring runs, newest first, fetched page by page as they are drawn."""
        filters = {"state": state, "model": model, "version": version, "since": since, "until": until, "limit": page}
        cursor: str | None = None
        while True:
            items, cursor = await self._run(self._do.scoring_page(filters, cursor))
            for item in items:
                yield item
            if cursor is None:
                return

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _map(
        self,
        run: Callable[[Any], Coroutine[Any, Any, Result]],
        inputs: Iterable[Any] | AsyncIterable[Any],
        in_flight: int,
        ordered: bool,
    ) -> AsyncIterator[Result]:
        window: deque[asyncio.Task[Result]] = deque()
        try:
            async for item in _each(inputs):
                window.append(asyncio.create_task(run(item)))
                while len(window) == in_flight or _ready(window, ordered):
                    yield await _take(window, ordered)
            while window:
                yield await _take(window, ordered)
        finally:
            for task in window:
                task.cancel()
            await asyncio.gather(*window, return_exceptions=True)

    async def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._perform(step))
        except StopIteration as end:
            value: T = end.value
            return value

    async def _perform(self, step: Call | Sleep) -> Reply | None:
        if isinstance(step, Sleep):
            await self._sleep(step.seconds)
            return None
        try:
            return await self._http.request(step.method, step.path, **request_options(step, self._timeout))
        except httpx.RequestError as fault:
            return fault


async def _each(inputs: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(inputs, AsyncIterable):
        async for item in inputs:
            yield item
    else:
        for item in inputs:
            yield item


def _ready(window: "deque[asyncio.Task[Result]]", ordered: bool) -> bool:
    return bool(window) and (window[0].done() if ordered else any(task.done() for task in window))


async def _take(window: "deque[asyncio.Task[Result]]", ordered: bool) -> Result:
    if not ordered:
        done, _ = await asyncio.wait(window, return_when=asyncio.FIRST_COMPLETED)
        first = next(task for task in window if task in done)
        window.remove(first)
        return await first
    await asyncio.wait([window[0]])  # it stays in the window until it is done, so that a cancellation reaches it
    return await window.popleft()
