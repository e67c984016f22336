"""Results beside the store: asked first, filled after, and not asked for what a notice told of."""

from collections.abc import Sequence

from api_driver import BODY, Start, until

from schemas.jobs import JobView


class Kept:
    """In memory, everything that it is given."""

    def __init__(self) -> None:
        self.views: dict[tuple[str, str], JobView] = {}
        self.asked: list[tuple[str, str]] = []

    def get(self, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], JobView]:
        self.asked += wanted
        return {named: self.views[named] for named in wanted if named in self.views}

    def keep(self, views: Sequence[JobView]) -> None:
        self.views |= {(view.tenant, view.id): view for view in views if view.state.value == "succeeded"}


def test_what_is_kept_is_not_read_again(start: Start) -> None:
    kept = Kept()
    api = start(kept=kept)
    id = api.submit().json()["job_id"]
    assert api.client.get(f"/result/{id}").status_code == 202
    api.store.end(id)
    first = api.client.get(f"/result/{id}").json()
    reads = len(api.store.reads)
    again = [api.client.get(f"/result/{id}").json() for _ in range(5)]
    assert again == [first] * 5
    assert len(api.store.reads) == reads
    assert api.client.get(f"/result/{id}?wait=5").json() == first


def test_another_tenant_and_an_unknown_job_are_asked_of_the_store(start: Start) -> None:
    api = start(kept=Kept())
    assert api.client.get("/result/nope").status_code == 404
    api.store.purged.add(("default", "old"))
    assert api.client.get("/result/old").status_code == 410


def test_what_a_notice_told_of_is_read_from_the_store_and_kept(start: Start) -> None:
    kept = Kept()
    api = start(kept=kept)
    id = api.submit().json()["job_id"]
    finish = api.client.begin("GET", f"/result/{id}?wait=30")
    until(lambda: kept.asked == [("default", id)] and api.store.reads == [1])
    api.store.end(id)
    api.notices.ended([id])
    assert finish().json()["result"] == {"y": 6.0}
    assert kept.asked == [("default", id)], "asked again for what was not there a moment ago"
    assert ("default", id) in kept.views


def test_where_results_came_from_is_counted(start: Start) -> None:
    api = start(kept=Kept())
    id = api.submit().json()["job_id"]
    api.store.end(id)
    for _ in range(3):
        api.client.get(f"/result/{id}")
    said = api.client.get("/metrics").text
    assert "forebay_api_store_reads_total 1.0" in said
    assert 'forebay_api_results_read_total{source="redis"} 2.0' in said
    assert 'forebay_api_results_read_total{source="store"} 1.0' in said


def test_what_is_wrong_with_redis_degrades_and_does_not_stop(start: Start) -> None:
    lines = ["redis: h:6379: away"]
    api = start(degrading=[lambda: lines[0] if lines else None])
    assert api.client.get("/readyz").json() == {"status": "ready", "unready": [], "degraded": ["redis: h:6379: away"]}
    lines.clear()
    assert api.client.get("/readyz").json()["degraded"] == []
    assert api.submit(BODY).status_code == 202
