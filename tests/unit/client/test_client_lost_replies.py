"""A reply that is lost after the job was accepted never makes two jobs (I2): on real sockets."""

import asyncio

from dropping_server import Jobs, serving

from forebay_client import AsyncClient, Client, Job, Retries

QUICK = Retries(5, base=0.001)


def test_a_submission_whose_reply_is_lost_twice_is_one_job() -> None:
    jobs = Jobs(drops=2)
    with serving(jobs) as url, Client(url, retries=QUICK) as client:
        assert client.submit("m", {"x": 1}).id == "job-0"
    assert list(jobs.posts.values()) == [3]


def test_a_batch_whose_reply_is_lost_is_submitted_once() -> None:
    jobs = Jobs(drops=1)
    with serving(jobs) as url, Client(url, retries=QUICK) as client:
        answers = client.submit_many("m", [1, 2, 3])
    assert [answer.id for answer in answers if isinstance(answer, Job)] == ["job-0", "job-1", "job-2"]
    assert list(jobs.by_key.values()) == [1, 2, 3]
    assert list(jobs.posts.values()) == [2, 2, 2]


def test_map_over_dropped_connections_gives_each_result_once_in_order() -> None:
    jobs = Jobs(drops=10)
    with serving(jobs) as url, Client(url, retries=QUICK) as client:
        assert [result.value["y"] for result in client.map("m", range(60), in_flight=8)] == list(range(60))
    assert sorted(jobs.by_key.values()) == list(range(60))
    assert jobs.most_open <= 8


def test_the_asynchronous_client_too() -> None:
    jobs = Jobs(drops=10)

    async def everything(url: str) -> list[int]:
        async with AsyncClient(url, retries=QUICK) as client:
            return [result.value["y"] async for result in client.map("m", range(60), in_flight=8)]

    with serving(jobs) as url:
        assert asyncio.run(everything(url)) == list(range(60))
    assert sorted(jobs.by_key.values()) == list(range(60))
    assert jobs.most_open <= 8


def test_a_closed_port_is_no_answer() -> None:
    jobs = Jobs()
    with serving(jobs) as url:
        pass
    with Client(url, retries=Retries(1, base=0.001)) as client:
        answer = client.submit_many("m", [1])[0]
    assert not isinstance(answer, Job)
    assert answer.title == "No answer"
