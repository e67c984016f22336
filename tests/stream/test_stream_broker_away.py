"""The broker goes while a stream worker runs, busy or idle: it says so, keeps trying, and nothing is lost or done twice."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.e2e.processes import eventually
from tests.services.kafka import Kafka
from tests.services.kafka_jars import NoKafka
from tests.services.require import require
from tests.stream.stage import stream_stage
from tests.stream.topics import feed, good


@pytest.mark.timeout(180)
def test_a_broker_that_goes_and_comes_back() -> None:
    given = [good(n) for n in range(600)]
    try:
        server = Kafka.start()
    except NoKafka as missing:
        require(str(missing))
    with server as kafka, stream_stage(kafka) as on:
        worker = on.start("--metrics-port", "0").ready()
        feed(kafka, on.topic, given[:300])
        eventually(lambda: on.progress.left() == 0, 30, every=0.2)
        assert _readiness(worker.url) == (200, [])
        kafka.stop("kill")
        eventually(lambda: "refused" in _unready(worker.url), 20, lambda: _unready(worker.url), every=0.2)
        assert "no broker answers: " in _unready(worker.url)
        kafka.restart()
        eventually(lambda: _readiness(worker.url)[0] == 200, 30, lambda: str(_readiness(worker.url)), every=0.2)
        feed(kafka, on.topic, given[300:])
        eventually(
            lambda: on.progress.left() == 0, 40, lambda: f"{on.progress.left()} left; {worker.complained}", every=0.2
        )
        assert worker.stop() == 0
        on.check(given, set())
        told = [line for line in worker.complained.splitlines() if "no broker answers" in line]
        assert len(told) == 1, "once, not twenty times a second"
        assert len(worker.complained.splitlines()) < 30, worker.complained


def _unready(url: str) -> str:
    status, unready = _readiness(url)
    return "; ".join(unready) if status == 503 else ""


def _readiness(url: str) -> tuple[int, list[str]]:
    try:
        with urllib.request.urlopen(f"{url}/readyz") as answer:
            return answer.status, _told(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, _told(refused)


def _told(answer: Any) -> list[str]:
    return list(json.load(answer)["unready"])
