"""The client for ordinary, blocking code."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
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
from forebay_client.transport import EVERYWHERE, for_threads, request_options, settings

T = TypeVar("T")


class Client:
    """Submits jobs to a Forebay server and fetches their results. One may be shared by many threads."""

    def __init__(
        self,
        base_url: str,
        *,
        key: str | None = None,
        timeout: float = 10.0,
        retries: Retries | int = DEFAULT_RETRIES,
        transport: httpx.BaseTransport | None = None,
        clocks: Clocks = REAL,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`key` is the API key. `timeout` in seconds is for one answer, beside what the server was asked to wait.
        `retries`: how often a request is tried again that found no server, 429, 502, 503 or 504; 0 for never."""
        mounts = {EVERYWHERE: for_threads()} if transport is None else None
        self._http = httpx.Client(**settings(base_url, key), transport=transport, mounts=mounts)
        self._timeout = timeout
        self._sleep = sleep
        self._do = AllOperations(retries if isinstance(retries, Retries) else Retries(retries), clocks)

    def submit(
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
        """Submit one item: an object by input name, or the Open Inference Protocol's list. When this returns, the job is
        committed. A lost answer is retried with the same idempotency key, so that it never makes two jobs. With `wait` in
        seconds, `Job.result` is set when the job ended by then."""
        options = Options(version, priority, expires_in, webhook, metadata)
        return self._run(self._do.submit(model, inputs, options, idempotency_key, wait))

    def submit_many(
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
        return self._run(self._do.submit_many(model, inputs, options, idempotency_keys))

    def result(self, job: Job | str, wait: float | None = None) -> Result:
        """One look, which the server may hold for up to `wait` seconds (at most 60) until the job ends."""
        return self._run(self._do.result(job, wait))

    def wait(self, job: Job | str, timeout: float | None = None) -> Result:
        """The result, once the job ended, well or not. Raises JobTimeout after `timeout` seconds."""
        return self._run(self._do.wait(job, timeout))

    def cancel(self, job: Job | str) -> Result:
        """Cancel what is queued or running. The state that it ended in: a finished job stays as it is."""
        return self._run(self._do.cancel(job))

    def predict(
        self, model: str, inputs: Any, *, version: str | None = None, priority: int | None = None,
        expires_in: float | None = None, timeout: float | None = 60.0,
    ) -> dict[str, Any]:  # fmt: skip
        """Submit, wait, and return the outputs by name. Raises JobFailed, JobCanceled, JobExpired, or JobTimeout after
        `timeout` seconds."""
        return self._run(self._do.predict(model, inputs, Options(version, priority, expires_in), timeout))

    def map(
        self, model: str, inputs: Iterable[Any], *, in_flight: int = 64, version: str | None = None,
        priority: int | None = None, expires_in: float | None = None, timeout: float | None = None, ordered: bool = True,
    ) -> Iterator[Result]:  # fmt: skip
        """The result of each item, in the order of the items (`ordered=False`: as they end). At most `in_flight` jobs are
        open at a time, and the items are drawn no faster than that. `timeout` in seconds is for each. A job that failed is a
        Result; an item that was refused, or timed out, raises. Jobs that are open when the iterator is closed run on."""
        if in_flight < 1:
            raise ValueError(f"in_flight: expected at least 1, got {in_flight}")
        options = Options(version, priority, expires_in)
        return self._map(
            lambda item: self._run(self._do.run(model, item, options, timeout)), inputs, in_flight, ordered
        )

    def jobs(
        self, *, state: str | None = None, model: str | None = None, version: str | None = None,
        since: datetime | None = None, until: datetime | None = None, page: int = 100,
    ) -> Iterator[Result]:  # fmt: skip
        """Jobs without their outputs, newest first, fetched page by page as they are drawn."""
        filters = {"state": state, "model": model, "version": version, "since": since, "until": until, "limit": page}
        cursor: str | None = None
        while True:
            items, cursor = self._run(self._do.page(filters, cursor))
            yield from items
            if cursor is None:
                return

    def score(
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
        """Submit a scoring run: the Parquet data set at `input` in, a Parquet data set at `output` out. When this returns, it is
        committed. The same `run_id` with the same request is the same run, and one that failed or was canceled is queued
        again, to go on from where it was; with another request it is IdempotencyConflict."""
        options = ScoringOptions(version, where, columns, passthrough, max_rejects, skip_corrupt, overwrite)
        return self._run(self._do.score(model, input, output, run_id, options))

    def scoring_run(self, run: ScoringRun | str, wait: float | None = None) -> ScoringRun:
        """One look, which the server may hold for up to `wait` seconds (at most 60) until the run ends."""
        return self._run(self._do.scoring_run(run, wait))

    def wait_scoring_run(self, run: ScoringRun | str, timeout: float | None = None) -> ScoringRun:
        """The run, once it ended, well or not. Raises ScoringRunTimeout after `timeout` seconds."""
        return self._run(self._do.wait_scoring_run(run, timeout))

    def cancel_scoring_run(self, run: ScoringRun | str) -> ScoringRun:
        """Cancel what is queued, or ask what is running to stop: then `cancel_asked` is true. What ended stays as it is."""
        return self._run(self._do.cancel_scoring_run(run))

    def scoring_runs(
        self, *, state: str | None = None, model: str | None = None, version: str | None = None,
        since: datetime | None = None, until: datetime | None = None, page: int = 100,
    ) -> Iterator[ScoringRun]:  # fmt: skip
        """Scoring runs, newest first, fetched page by page as they are drawn."""
        filters = {"state": state, "model": model, "version": version, "since": since, "until": until, "limit": page}
        cursor: str | None = None
        while True:
            items, cursor = self._run(self._do.scoring_page(filters, cursor))
            yield from items
            if cursor is None:
                return

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _map(
        self, run: Callable[[Any], Result], inputs: Iterable[Any], in_flight: int, ordered: bool
    ) -> Iterator[Result]:
        window: deque[Future[Result]] = deque()
        pool = ThreadPoolExecutor(in_flight, thread_name_prefix="forebay-map")
        try:
            for item in inputs:
                window.append(pool.submit(run, item))
                while len(window) == in_flight or _ready(window, ordered):
                    yield _take(window, ordered)
            while window:
                yield _take(window, ordered)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _run(self, steps: Steps[T]) -> T:
        try:
            step = next(steps)
            while True:
                step = steps.send(self._perform(step))
        except StopIteration as end:
            value: T = end.value
            return value

    def _perform(self, step: Call | Sleep) -> Reply | None:
        if isinstance(step, Sleep):
            return self._sleep(step.seconds)
        try:
            return self._http.request(step.method, step.path, **request_options(step, self._timeout))
        except httpx.RequestError as fault:
            return fault


def _ready(window: "deque[Future[Result]]", ordered: bool) -> bool:
    return bool(window) and (window[0].done() if ordered else any(future.done() for future in window))


def _take(window: "deque[Future[Result]]", ordered: bool) -> Result:
    if ordered:
        return window.popleft().result()
    done, _ = wait_for(window, return_when=FIRST_COMPLETED)
    first = next(future for future in window if future in done)
    window.remove(first)
    return first.result()
