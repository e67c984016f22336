"""Requests to the service and what their answers mean, alike for the hook's calls and for the trigger's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from tenacity import RetryCallState, retry_if_exception_type, wait_random_exponential

from forebay_airflow.address import RUNS, Address, path_of
from forebay_airflow.runs import Run
from forebay_client import ForebayError, Passing, ServerError, Unavailable
from forebay_client.errors import error_of
from forebay_client.problems import Problem
from forebay_client.retries import retry_after
from forebay_client.timing import REAL
from forebay_client.transport import settings

TIMEOUT = 30.0
"""Seconds, for each of connecting, sending and being answered; a long-poll adds what it waits."""
LONGEST_WAIT = 30.0
"""Seconds that one long-poll asks for: shorter than the idle timeouts of common proxies."""
TRIES = 5
PATIENCE = 60.0
"""The longest Retry-After, in seconds, that is waited for."""

_BACKOFF = wait_random_exponential(multiplier=0.2, max=10.0)


@dataclass(frozen=True)
class Ask:
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    params: Mapping[str, str] = field(default_factory=dict)
    held: float = 0.0
    """Seconds that the server may hold the request on purpose."""

    def options(self) -> dict[str, Any]:
        """Keyword arguments of httpx's `request`."""
        timeout = httpx.Timeout(TIMEOUT, read=TIMEOUT + self.held)
        return {"method": self.method, "url": self.path, "json": self.body, "params": dict(self.params) or None,
                "timeout": timeout}  # fmt: skip


def submitting(order: Mapping[str, Any]) -> Ask:
    return Ask("POST", RUNS, body=order)


def looking(run_id: str, wait: float = 0.0) -> Ask:
    """`wait`: seconds until the server answers at the latest, should the run not have ended."""
    wait = min(wait, LONGEST_WAIT)
    return Ask("GET", path_of(run_id), params={"wait": f"{wait:g}"} if wait > 0 else {}, held=wait)


def canceling(run_id: str) -> Ask:
    return Ask("POST", f"{path_of(run_id)}/cancel")


def client_options(address: Address) -> dict[str, Any]:
    options = settings(address.base_url, address.key)
    options["headers"]["user-agent"] = "forebay-airflow"
    return options


def answered(response: httpx.Response) -> Run:
    """The run, or raises the ForebayError that the answer is."""
    body = decoded(response)
    if not response.is_success:
        waits = retry_after(response.headers.get("retry-after"), REAL.wall())
        raise error_of(Problem.read(response.status_code, body), waits)
    return Run.read(body)


def decoded(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        if response.is_success:
            raise ServerError(
                f"{response.url} answered {response.status_code} without JSON: is this Forebay?"
            ) from None
        return None


def unreached(address: Address, why: httpx.RequestError) -> Unavailable:
    return Unavailable(f"{address.base_url} cannot be reached ({str(why) or type(why).__name__})")


def retrying() -> dict[str, Any]:
    """Keyword arguments of tenacity's `Retrying`: every request here may be sent twice and does the same once."""
    return {
        "retry": retry_if_exception_type(Passing),
        "stop": _spent,
        "wait": _backoff,
        "reraise": True,
    }


def _spent(state: RetryCallState) -> bool:
    return state.attempt_number >= TRIES or _asked_for(state) > PATIENCE


def _backoff(state: RetryCallState) -> float:
    """What the server asked for, it gets, and the jitter on top, so that its clients do not all come back at once."""
    return _asked_for(state) + _BACKOFF(state)


def _asked_for(state: RetryCallState) -> float:
    met: BaseException | None = state.outcome.exception() if state.outcome else None
    return (met.retry_after or 0.0) if isinstance(met, Passing) else 0.0


def senseless(met: ForebayError) -> bool:
    """Whether the same request, sent later, meets the same: refused, forbidden, unknown."""
    return not isinstance(met, Passing | ServerError)
