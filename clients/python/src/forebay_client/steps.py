"""What the client does, told once for `Client` and `AsyncClient`: generators that say what to send and how long to sleep,
and are handed what came back. They neither send nor sleep themselves."""

import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar
from urllib.parse import quote

import httpx

from forebay_client import encoding
from forebay_client.encoding import Options
from forebay_client.errors import ForebayError, JobTimeout, Passing, ServerError, Unavailable, error_of
from forebay_client.problems import Problem
from forebay_client.results import Job, Result
from forebay_client.retries import Retries, retry_after
from forebay_client.timing import Clocks

T = TypeVar("T")
E = TypeVar("E", bound="Ends")

LONGEST_WAIT = 30.0
"""Seconds that one long-poll asks the server for: shorter than the idle timeouts of common proxies."""
GRACE = 1.0
"""Seconds that an answer may come after the caller's deadline: the server waits as long as it was asked to, then answers."""


@dataclass(frozen=True)
class Call:
    """Send this request."""

    method: str
    path: str
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    held: float = 0.0
    """Seconds that the server may hold the request on purpose, on top of the timeout."""
    within: float | None = None
    """Seconds that are left for the answer, when that is less."""


@dataclass(frozen=True)
class Sleep:
    seconds: float


Reply: TypeAlias = httpx.Response | httpx.RequestError
Steps: TypeAlias = Generator[Call | Sleep, Reply | None, T]


class Ends(Protocol):
    """What can be waited for."""

    @property
    def done(self) -> bool: ...


@dataclass(frozen=True)
class Operations:
    retries: Retries
    clocks: Clocks

    def submit(
        self,
        model: str,
        inputs: Any,
        options: Options,
        key: str | None,
        wait: float | None,
        end: float | None = None,
    ) -> Steps[Job]:
        named = str(uuid.uuid4()) if key is None else encoding.checked_key(key)
        headers = {"content-type": "application/json", "idempotency-key": named}
        if wait:
            headers["prefer"] = f"wait={wait:.3f}"
        body = encoding.encode(model, inputs, options)
        reply = yield from self.send(Call("POST", "/predict_async", body, headers, held=wait or 0.0), end)
        return Job.read(json_of(reply), ended=reply.status_code == 200)

    def submit_many(
        self, model: str, inputs: Sequence[Any], options: Options, keys: Sequence[str] | None
    ) -> Steps[list[Job | Problem]]:
        if keys is None:
            keys = [str(uuid.uuid4()) for _ in inputs]
        if len(keys) != len(inputs):
            raise ValueError(f"expected one idempotency key for each of {len(inputs)} inputs, got {len(keys)}")
        entries = [encoding.encode(model, one, options, key) for one, key in zip(inputs, keys, strict=True)]
        answers: list[Job | Problem] = []
        for chunk in encoding.chunks(entries):
            answers += yield from self._batch(chunk)
        return answers

    def result(self, job: Job | str, wait: float | None) -> Steps[Result]:
        params = {"wait": f"{wait:.3f}"} if wait else {}
        reply = yield from self.send(Call("GET", _path(job), params=params, held=wait or 0.0))
        return Result.read(json_of(reply))

    def wait(self, job: Job | str, timeout: float | None) -> Steps[Result]:
        def late(seen: Result) -> JobTimeout:
            return JobTimeout(f"job {seen.job_id} is {seen.status} after {timeout:g} s: it goes on", seen)

        return self.until_done(_path(job), Result.read, late, timeout)

    def until_done(
        self, path: str, read: Callable[[Any], E], late: Callable[[E], ForebayError], timeout: float | None
    ) -> Steps[E]:
        """Long-polls what is at `path` until it is done. Raises what `late` makes of it after `timeout` seconds."""
        end = None if timeout is None else self.clocks.now() + timeout
        while True:
            asked = self.clocks.now()
            held = LONGEST_WAIT if end is None else max(0.0, min(LONGEST_WAIT, end - asked))
            params = {"wait": f"{held:.3f}"}
            reply = yield from self.send(Call("GET", path, params=params, held=held), end)
            seen = read(json_of(reply))
            if seen.done:
                return seen
            now = self.clocks.now()
            if end is not None and now >= end:
                raise late(seen)
            if now - asked < held / 2:  # the server had no room to hold the request
                pause = self._retry_after(reply) or 1.0
                yield Sleep(pause if end is None else min(pause, end - now))

    def predict(self, model: str, inputs: Any, options: Options, timeout: float | None) -> Steps[dict[str, Any]]:
        result = yield from self.run(model, inputs, options, timeout)
        return result.value

    def run(self, model: str, inputs: Any, options: Options, timeout: float | None) -> Steps[Result]:
        """Submit and wait: one request when the job ends in time."""
        end = None if timeout is None else self.clocks.now() + timeout
        first = LONGEST_WAIT if timeout is None else min(LONGEST_WAIT, timeout)
        job = yield from self.submit(model, inputs, options, None, first, end)
        if job.result is not None:
            return job.result
        return (yield from self.wait(job, None if end is None else max(0.0, end - self.clocks.now())))

    def cancel(self, job: Job | str) -> Steps[Result]:
        reply = yield from self.send(Call("POST", f"{_path(job)}/cancel"))
        return Result.read(json_of(reply))

    def page(self, filters: Mapping[str, Any], cursor: str | None) -> Steps[tuple[list[Result], str | None]]:
        params = {name: text_of(value) for name, value in filters.items() if value is not None}
        if cursor is not None:
            params["cursor"] = cursor
        body = json_of((yield from self.send(Call("GET", "/jobs", params=params))))
        return [Result.read(item) for item in items_of(body)], body.get("cursor")

    def _batch(self, entries: Sequence[bytes]) -> Steps[list[Job | Problem]]:
        """A batch that is refused as a whole, or gets no answer, is that problem for each of its entries: what came before it
        is submitted and must not be lost to the caller. A wrong key is raised, for nothing was submitted."""
        headers = {"content-type": "application/json"}
        body = encoding.batch_body(entries)
        try:
            reply = yield from self.send(Call("POST", "/predict_async/batch", body, headers))
        except ForebayError as fault:
            if fault.status in {401, 403}:
                raise
            return [fault.problem or Problem(503, str(fault), "No answer")] * len(entries)
        answers = items_of(json_of(reply))
        if len(answers) != len(entries):
            raise ForebayError(f"submitted {len(entries)} jobs, got {len(answers)} answers: is this a Forebay server?")
        return [_job_or_problem(answer) for answer in answers]

    def send(self, call: Call, end: float | None = None) -> Steps[httpx.Response]:
        """The successful answer. Retries, the same bytes and headers each time, what may pass; `end` bounds it."""
        tried = 0
        while True:
            reply = yield self._in_time(call, end)
            assert reply is not None
            if isinstance(reply, httpx.Response) and reply.is_success:
                return reply
            tried += 1
            fault = self._fault(reply)
            cause = reply if isinstance(reply, Exception) else None
            delay = (
                self.retries.delay(tried, fault.retry_after, self.clocks.uniform)
                if isinstance(fault, Passing)
                else None
            )
            if delay is None or (end is not None and self.clocks.now() + delay >= end):
                if isinstance(fault, Passing):
                    fault.idempotency_key = call.headers.get("idempotency-key")
                raise fault from cause
            yield Sleep(delay)

    def _in_time(self, call: Call, end: float | None) -> Call:
        return call if end is None else replace(call, within=max(0.0, end - self.clocks.now()) + GRACE)

    def _fault(self, reply: Reply) -> ForebayError:
        if isinstance(reply, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
            return ForebayError(f"the request can't be sent: {reply}")
        if isinstance(reply, httpx.TransportError):
            return Unavailable(f"no answer from {_place(reply)}: {reply!r}; is the server running there?")
        if isinstance(reply, httpx.RequestError):
            return ServerError(f"the answer can't be read: {reply!r}")
        return error_of(Problem.read(reply.status_code, _maybe_json(reply)), self._retry_after(reply))

    def _retry_after(self, reply: httpx.Response) -> float | None:
        return retry_after(reply.headers.get("retry-after"), self.clocks.wall())


def _path(job: Job | str) -> str:
    return f"/result/{quote(job.id if isinstance(job, Job) else job, safe='')}"


def json_of(reply: httpx.Response) -> Any:
    body = _maybe_json(reply)
    if not isinstance(body, dict):
        raise ForebayError(f"expected a JSON object in the answer of {reply.request.url}: is this a Forebay server?")
    return body


def _place(fault: httpx.RequestError) -> str:
    """Of a fault that may not know its request."""
    try:
        url = fault.request.url
    except RuntimeError:
        return "the server"
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


def _maybe_json(reply: httpx.Response) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None


def items_of(body: Mapping[str, Any], name: str = "jobs") -> list[Any]:
    items = body.get(name)
    if not isinstance(items, list):
        raise ForebayError(f"expected a list of {name} in the answer: is this a Forebay server?")
    return items


def _job_or_problem(answer: Any) -> Job | Problem:
    if isinstance(answer, dict) and "job_id" not in answer:
        status = answer.get("status")
        return Problem.read(status if isinstance(status, int) else 500, answer)
    return Job.read(answer)


def text_of(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
