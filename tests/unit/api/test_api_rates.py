"""The rate limit on the routes: 429 with Retry-After, batches count their jobs, and a shared bucket that is away is done
without."""

import hashlib
from collections.abc import Sequence

from api_driver import BODY, Start

from pipelines.rate import Rate

SLOW = Rate(interval=3600.0, burst=3)


class Shared:
    """`says` to every question."""

    def __init__(self, says: float | None) -> None:
        self.says = says
        self.asked: list[tuple[str, int]] = []

    def take(self, wanted: Sequence[tuple[str, int]]) -> list[float | None]:
        self.asked += wanted
        return [self.says for _ in wanted]


def test_more_than_the_rate_is_answered_429(start: Start) -> None:
    api = start(rate=SLOW)
    assert [api.submit().status_code for _ in range(4)] == [202, 202, 202, 429]
    refused = api.submit()
    assert refused.headers["content-type"] == "application/problem+json"
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    assert refused.json()["type"] == "/problems/rate-limited"
    assert len(api.store.rows) == 3, "a refused job was stored"


def test_each_tenant_has_a_bucket_of_its_own(start: Start) -> None:
    keys = {hashlib.sha256(name.encode()).hexdigest(): name for name in ("one", "two")}
    api = start(rate=SLOW, keys=keys)
    ends = [api.submit(x_api_key=name).status_code for name in ("one", "one", "one", "one", "two")]
    assert ends == [202, 202, 202, 429, 202]


def test_a_batch_counts_its_good_jobs(start: Start) -> None:
    api = start(rate=SLOW)
    bad = {"model": "nope", "inputs": {}}
    answer = api.client.post("/predict_async/batch", json={"jobs": [BODY, bad, BODY]})
    assert [entry["status"] for entry in answer.json()["jobs"]] == ["queued", 404, "queued"]
    assert api.client.post("/predict_async/batch", json={"jobs": [BODY, BODY]}).status_code == 429
    assert api.submit().status_code == 202, "a refused batch took its share"
    assert api.client.post("/predict_async/batch", json={"jobs": [bad]}).status_code == 202, "nothing to count"


def test_reading_and_canceling_are_not_limited(start: Start) -> None:
    api = start(rate=SLOW)
    ids = [api.submit().json()["job_id"] for _ in range(3)]
    assert {api.client.get(f"/result/{ids[0]}").status_code for _ in range(10)} == {202}
    assert api.client.post(f"/result/{ids[0]}/cancel").status_code == 200


def test_shared_buckets_decide_where_there_are_any(start: Start) -> None:
    shared = Shared(0.0)
    api = start(rate=SLOW, shared=shared)
    assert {api.submit().status_code for _ in range(10)} == {202}
    assert shared.asked == [("default", 1)] * 10
    shared.says = 1.2
    assert (api.submit().status_code, api.submit().headers["retry-after"]) == (429, "2")


def test_while_they_are_away_one_of_this_process_does(start: Start) -> None:
    api = start(rate=SLOW, shared=Shared(None))
    assert [api.submit().status_code for _ in range(4)] == [202, 202, 202, 429]


def test_without_a_limit_nobody_is_asked(start: Start) -> None:
    shared = Shared(9.0)
    api = start(shared=shared)
    assert api.submit().status_code == 202
    assert shared.asked == []
