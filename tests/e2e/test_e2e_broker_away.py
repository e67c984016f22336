"""Kafka stops while jobs come in: each is accepted all the same, readiness says so, and all are done once it is back."""

import json
import time
import urllib.request
from typing import Any

import pytest

from tests.e2e.clients import load
from tests.e2e.processes import eventually
from tests.e2e.stage import stage
from tests.services.kafka import Kafka
from tests.services.kafka_jars import NoKafka
from tests.services.require import require

RECOVERS_WITHIN = 60.0


@pytest.mark.timeout(180)
def test_jobs_are_taken_while_the_broker_is_away() -> None:
    try:
        server = Kafka.start()
    except NoKafka as missing:
        require(str(missing))
    with server as kafka, stage(None, QUEUE=f"kafka://{kafka.bootstrap}/{kafka.fresh_topic(3)}") as on:
        api, _ = on.serve()
        with load(lambda: api.url, on.history, pause=0.03, seed=1):
            eventually(lambda: on.rows.count("succeeded") > 20, 30)
            kafka.stop("kill")
            eventually(lambda: _readiness(api.url)["degraded"], 10)
            before = on.rows.open() + on.rows.count("succeeded")
            eventually(lambda: on.rows.open() + on.rows.count("succeeded") > before + 10, 10)
            kafka.restart()
            time.sleep(1.0)
        on.rest(within=RECOVERS_WITHIN)
        on.check()


def _readiness(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/readyz") as answer:
        return json.load(answer)
