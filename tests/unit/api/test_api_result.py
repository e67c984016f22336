from api_driver import BODY, Api, Start, until


def test_pending_then_ended(api: Api) -> None:
    id = api.submit({**BODY, "metadata": {"order": 7}}).json()["job_id"]
    pending = api.client.get(f"/result/{id}")
    assert pending.status_code == 202
    assert pending.headers["retry-after"] == "1"
    assert pending.json()["status"] == "queued"
    api.store.end(id)
    done = api.client.get(f"/result/{id}")
    assert done.status_code == 200
    assert "retry-after" not in done.headers
    body = done.json()
    assert body["result"] == {"y": 6.0}
    assert body["metadata"] == {"order": 7}
    assert (body["attempt"], body["generation"]) == (1, 0)
    assert set(body["timings"]) == {"submitted_at", "started_at", "finished_at"}
    assert body["timings"]["finished_at"].endswith("Z")


def test_a_failed_job_tells_why(api: Api) -> None:
    id = api.submit().json()["job_id"]
    api.store.end(id, None)
    answer = api.client.get(f"/result/{id}")
    assert answer.status_code == 200
    assert answer.json()["error"] == {"reason": "model_error", "message": "boom"}
    assert answer.json()["attempt"] == 3
    assert "result" not in answer.json()


def test_unknown_malformed_and_purged(api: Api) -> None:
    api.store.purged.add(("default", "old"))
    assert api.client.get("/result/nope").status_code == 404
    assert api.client.get("/result/" + "x" * 129).status_code == 404
    assert api.client.get("/result/%00").status_code == 404
    assert api.client.get("/result/old").status_code == 410
    assert api.client.post("/result/nope/cancel").status_code == 404
    assert api.client.post("/result/old/cancel").status_code == 410


def test_a_bad_wait_is_refused(api: Api) -> None:
    for query in ("wait=-1", "wait=x", "wait=", "wait=1&wait=2", "wait=NaN", "wait=%C2%B2", "what=1"):
        answer = api.client.get(f"/result/x?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["errors"]


def test_a_long_wait_is_cut_to_60_seconds(api: Api) -> None:
    id = api.submit().json()["job_id"]
    api.store.end(id)
    assert api.client.get(f"/result/{id}?wait=999").headers["preference-applied"] == "wait=60"
    assert api.client.get(f"/result/{id}", headers={"prefer": "wait=999"}).headers["preference-applied"] == "wait=60"


def test_a_notice_wakes_a_long_poll_without_a_poll(api: Api) -> None:
    id = api.submit().json()["job_id"]
    api.store.entered.acquire()
    answer = api.client.begin("GET", f"/result/{id}?wait=30")
    assert api.store.entered.acquire(timeout=5)  # the first read: queued
    until(lambda: bool(api.store.reads))
    api.store.end(id)
    api.notices.ended([id])
    assert answer().status_code == 200
    assert api.store.reads == [1, 1]  # the first read and the notice's: no poll


def test_a_lost_notice_costs_one_poll(api: Api) -> None:
    id = api.submit().json()["job_id"]
    api.store.entered.acquire()
    answer = api.client.begin("GET", f"/result/{id}?wait=30")
    assert api.store.entered.acquire(timeout=5)
    until(lambda: bool(api.store.reads))
    api.store.end(id)
    assert answer().status_code == 200


def test_one_read_serves_all_who_wait(api: Api) -> None:
    ids = [api.submit().json()["job_id"] for _ in range(20)]
    answers = [api.client.begin("GET", f"/result/{id}?wait=30") for id in ids]
    until(lambda: not (sum(api.store.reads) < 20))
    before = len(api.store.reads)
    for id in ids:
        api.store.end(id)
    api.notices.ended(ids)
    assert {answer().status_code for answer in answers} == {200}
    assert len(api.store.reads) <= before + 2  # the notice's, and perhaps a poll


def test_draining_answers_long_polls_at_once(api: Api) -> None:
    id = api.submit().json()["job_id"]
    answer = api.client.begin("GET", f"/result/{id}?wait=60")
    until(lambda: bool(api.store.reads))
    api.client.app.drain()
    assert answer().status_code == 202
    assert api.client.get(f"/result/{id}?wait=60").status_code == 202


def test_polls_beyond_the_bound_are_answered_at_once(start: Start) -> None:
    api = start(polls=0)
    id = api.submit().json()["job_id"]
    assert api.client.get(f"/result/{id}?wait=60").status_code == 202


def test_preferring_to_wait_is_woken_by_the_notice(api: Api) -> None:
    answer = api.client.begin("POST", "/predict_async", json=BODY, headers={"prefer": "wait=30"})
    until(lambda: bool(api.store.rows))
    (_, id) = next(iter(api.store.rows))
    api.store.end(id)
    api.notices.ended([id])
    got = answer()
    assert got.status_code == 200
    assert got.json()["job_id"] == id
    assert got.headers["location"] == f"/result/{id}"


def test_cancel_ends_the_job_and_wakes_who_waits(api: Api) -> None:
    id = api.submit().json()["job_id"]
    answer = api.client.begin("GET", f"/result/{id}?wait=30")
    until(lambda: bool(api.store.reads))
    canceled = api.client.post(f"/result/{id}/cancel")
    assert canceled.status_code == 200
    assert canceled.json()["status"] == "canceled"
    assert answer().json()["status"] == "canceled"


def test_canceling_what_is_done_changes_nothing(api: Api) -> None:
    id = api.submit().json()["job_id"]
    api.store.end(id)
    assert api.client.post(f"/result/{id}/cancel").json()["status"] == "succeeded"


def test_jobs_are_listed_in_pages(api: Api) -> None:
    ids = [api.submit().json()["job_id"] for _ in range(5)]
    api.store.end(ids[0])
    first = api.client.get("/jobs?limit=3").json()
    rest = api.client.get("/jobs", params={"limit": 3, "cursor": first["cursor"]}).json()
    assert [job["job_id"] for job in (*first["jobs"], *rest["jobs"])] == ids[::-1]
    assert rest["cursor"] is None
    done = api.client.get("/jobs?state=succeeded&model=sum&since=2020-01-01T00:00:00Z").json()
    assert [job["job_id"] for job in done["jobs"]] == [ids[0]]


def test_bad_filters_are_refused(api: Api) -> None:
    queries = ("state=done", "limit=0", "limit=9999", "cursor=x", "since=yesterday", "model=%00", "stat=queued")
    for query in queries:
        answer = api.client.get(f"/jobs?{query}")
        assert answer.status_code == 400, query
        assert answer.json()["errors"][0]["field"] == query.split("=")[0]
