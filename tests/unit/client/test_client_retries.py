"""Retries: what is tried again, when, and that it is always the same request."""

import httpx
import pytest
from client_driver import Driver, accepted, body_of, problem

import forebay_client as fc
from forebay_client.retries import retry_after


def faults(*given: httpx.Response | Exception) -> "Faults":
    return Faults(list(given))


class Faults:
    """These first, then success."""

    def __init__(self, left: list[httpx.Response | Exception]) -> None:
        self.left = left

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.left:
            fault = self.left.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        if request.url.path.endswith("/batch"):
            return httpx.Response(
                202, json={"jobs": [accepted(str(n)) for n, _ in enumerate(body_of(request)["jobs"])]}
            )
        return httpx.Response(202, json=accepted())


LOST = [
    httpx.ConnectError("refused"), httpx.ReadError("reset"), httpx.RemoteProtocolError("cut"),
    httpx.ReadTimeout("slow"), httpx.PoolTimeout("full"),
]  # fmt: skip


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: type(fault).__name__)
def test_a_lost_answer_is_retried_with_the_same_key_and_bytes(client: Driver, fault: Exception) -> None:
    client(faults(fault, problem(503), problem(429), problem(502))).submit("m", {"x": 1})
    assert len(client.requests) == 5
    assert len({request.headers["idempotency-key"] for request in client.requests}) == 1
    assert len({request.content for request in client.requests}) == 1


def test_a_batch_is_retried_with_the_same_key_for_each_job(client: Driver) -> None:
    client(faults(httpx.ReadError("reset"))).submit_many("m", [1, 2, 3])
    first, second = (request.content for request in client.requests)
    assert first == second
    assert "idempotency-key" not in client.requests[0].headers


def test_two_submissions_never_share_a_key(client: Driver) -> None:
    serving = client(faults())
    serving.submit("m", {})
    serving.submit("m", {})
    first, second = (request.headers["idempotency-key"] for request in client.requests)
    assert first != second


def test_the_backoff_grows_and_is_bounded(client: Driver) -> None:
    with pytest.raises(fc.Unavailable, match="ConnectError"):
        client(faults(*[httpx.ConnectError("refused")] * 9), retries=fc.Retries(5, base=1.0, most=4.0)).submit("m", {})
    assert client.time.slept == [1.0, 2.0, 4.0, 4.0, 4.0]  # the driver's draw is always the upper bound


def test_retry_after_is_honoured_and_jitter_comes_on_top(client: Driver) -> None:
    client(faults(problem(429, retry_after="5"), problem(503, retry_after="0"))).submit("m", {})
    assert client.time.slept == [5.2, 0.4]


def test_a_retry_after_beyond_patience_is_the_callers(client: Driver) -> None:
    with pytest.raises(fc.Overloaded) as caught:
        client(faults(problem(429, "overloaded", retry_after="3600"))).submit("m", {})
    assert caught.value.retry_after == 3600
    assert client.time.slept == []


def test_no_retries_means_none(client: Driver) -> None:
    with pytest.raises(fc.Unavailable):
        client(faults(problem(503)), retries=0).submit("m", {})
    assert len(client.requests) == 1


def test_a_batch_that_gets_no_answer_is_a_problem_for_each(client: Driver) -> None:
    answers = client(faults(*[httpx.ConnectError("refused")] * 2), retries=1).submit_many("m", [1, 2])
    assert [(answer.status, answer.title) for answer in answers] == [(503, "No answer")] * 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("7", 7.0), (" 7 ", 7.0), ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0), ("-1", None), ("soon", None),
     ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=1000.0) == seconds


def test_a_submission_without_an_answer_tells_its_key(client: Driver) -> None:
    with pytest.raises(fc.Unavailable) as caught:
        client(faults(*[httpx.ReadError("reset")] * 2), retries=1).submit("m", {})
    key = caught.value.idempotency_key
    assert key is not None
    assert {request.headers["idempotency-key"] for request in client.requests} == {key}


def test_an_answer_that_cannot_be_read_is_not_tried_again(client: Driver) -> None:
    with pytest.raises(fc.ServerError, match="can't be read"):
        client(faults(httpx.DecodingError("no gzip"))).submit("m", {})
    assert len(client.requests) == 1


@pytest.mark.parametrize("key", ["", "a b", "\u00fc", "line\n", "x" * 256])
def test_a_key_that_no_server_takes_is_refused_before_it_is_sent(client: Driver, key: str) -> None:
    with pytest.raises(fc.InvalidRequest, match="idempotency_key"):
        client(faults()).submit("m", {}, idempotency_key=key)
    with pytest.raises(fc.InvalidRequest, match="idempotency_key"):
        client(faults()).submit_many("m", [1], idempotency_keys=[key])
    assert client.requests == []


def test_many_retries_do_not_overflow() -> None:
    assert fc.Retries(5000, base=1.0, most=4.0).delay(5000, None, lambda _low, high: high) == 4.0
