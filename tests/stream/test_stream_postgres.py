"""`forebay stream --output postgresql://…#table`: rows, dead letters and offsets in one transaction of the database."""

import itertools
import signal

import psycopg
import pytest

from tests.e2e import probe
from tests.e2e.processes import eventually
from tests.services.broker import Broker
from tests.stream.stage import StreamStage, stream_stage
from tests.stream.topics import Given, bad, feed, feeding, good


def rows(url: str, select: str) -> list[tuple]:  # type: ignore[type-arg]
    with psycopg.connect(url) as connection:
        return connection.execute(select).fetchall()  # type: ignore[arg-type]


def check(on: StreamStage, url: str, given: list[Given], dead: set[int]) -> None:
    """Each record once, as a row or as a dead letter, with its own answer."""
    answers = rows(url, "SELECT key, output, partition, record_offset FROM scored ORDER BY partition, record_offset")
    letters = rows(url, "SELECT key, value, reason FROM scored_dead_letters")
    by_answer = {probe.f(each.n): each for each in given}
    found = [by_answer[output["y"][0]] for _, output, _, _ in answers]
    assert len(answers) + len(letters) == len(given)
    assert {each.n for each in found} == {each.n for each in given} - dead
    assert all(bytes(key) == each.key for (key, *_), each in zip(answers, found, strict=True))
    assert len(letters) == len(dead)
    (ends,) = rows(url, "SELECT sum(next) FROM forebay_stream_offsets")[0]
    assert ends == len(given)


def test_rows_dead_letters_and_offsets_go_together(kafka: Broker, postgres_url: str) -> None:
    given = [bad(n, (b"\xff\x00", None)[n % 2]) if n % 50 == 7 else good(n) for n in range(200)]
    with stream_stage(kafka) as on:
        feed(kafka, on.topic, given)
        for _ in range(2):  # the second finds nothing left, by the database's offsets
            worker = on.start("--output", f"{postgres_url}#scored", "--create-topics", "--until-drained")
            assert worker.wait(60) == 0, worker.complained
        check(on, postgres_url, given, {n for n in range(200) if n % 50 == 7})


@pytest.mark.timeout(120)
def test_killed_again_and_again_each_record_is_one_row(kafka: Broker, postgres_url: str) -> None:
    given = [good(n) for n in range(4000)]
    with stream_stage(kafka) as on:
        arguments = ("--output", f"{postgres_url}#scored", "--create-topics")
        workers = [on.start(*arguments).ready() for _ in range(2)]
        with feeding(kafka, on.topic, given, 300) as feeder:
            for kills in itertools.count():
                feeder.join(3.0)
                if not feeder.is_alive():
                    break
                workers[kills % 2].kill()
                workers[kills % 2] = on.start(*arguments)

        def left() -> bool:
            return bool(rows(postgres_url, "SELECT sum(next) FROM forebay_stream_offsets")[0][0] == len(given))

        eventually(left, 40, every=0.3)
        for worker in workers:
            assert worker.ready().stop() == 0, worker.complained
        check(on, postgres_url, given, set())


@pytest.mark.timeout(120)
def test_a_worker_frozen_in_a_transaction_writes_nothing_when_it_thaws(kafka: Broker, postgres_url: str) -> None:
    given = [good(n) for n in range(3000)]
    with stream_stage(kafka, partitions=2) as on:
        arguments = ("--output", f"{postgres_url}#scored", "--create-topics")
        frozen = on.start(*arguments).ready()
        with feeding(kafka, on.topic, given, 200):
            eventually(lambda: rows(postgres_url, "SELECT count(*) FROM scored")[0][0] > 100, 20)
            frozen.signal(signal.SIGSTOP)
            beside = on.start(*arguments, "--instance", "beside").ready()
            before = rows(postgres_url, "SELECT count(*) FROM scored")[0][0]
            eventually(lambda: rows(postgres_url, "SELECT count(*) FROM scored")[0][0] > before + 300, 30, every=0.3)
            frozen.signal(signal.SIGCONT)
        total = "SELECT count(*) FROM scored"
        eventually(lambda: rows(postgres_url, total)[0][0] == len(given), 40, every=0.3)
        for worker in (beside, frozen):
            assert worker.stop() == 0, worker.complained
        check(on, postgres_url, given, set())


def test_a_table_that_is_missing_is_named(kafka: Broker, postgres_url: str) -> None:
    with stream_stage(kafka, partitions=1) as on:
        worker = on.start("--output", f"{postgres_url}#nowhere")
        assert worker.wait(40) == 1
        assert "no table 'nowhere'" in worker.complained.splitlines()[-1]
