"""The README's production section, as it stands there, on the servers of `make services`."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.e2e.processes import eventually, place
from tests.services.moto_server import ACCESS
from tests.services.sqs_server import SqsServer

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_the_production_section_works_as_written(
    postgres_url: str, redis_url: str, elasticmq: SqsServer, bucket: str
) -> None:
    section = (ROOT / "README.md").read_text().partition("## The production set-up")[2].partition("\n## ")[0]
    commands = [command.partition("#")[0].split() for command in re.findall(r"bin/forebay (.*)", section)]
    create, upgrade, api, worker, result = commands
    (sent,) = re.findall(r"bin/aws (.*?)'\n", section, re.DOTALL)
    settings = {
        "STORE": postgres_url, "REDIS": redis_url, "PAYLOADS": bucket,
        "QUEUE": f"sqs://forebay?region={ACCESS['AWS_DEFAULT_REGION']}&endpoint={elasticmq.endpoint}",
    }  # fmt: skip
    with (
        tempfile.TemporaryDirectory(prefix="fb-") as folder,
        place(Path(folder), ROOT / "models", postgres_url, **settings) as there,
    ):
        for once in (create, upgrade):
            done = there.start(*once)
            assert done.wait() == 0, done.complained
        served, works = there.start(*api), there.start(*worker)
        served.ready(), works.ready()
        _aws(f"{sent}'", {**ACCESS, "FOREBAY_TEST_SQS": elasticmq.endpoint})
        eventually(lambda: httpx.get(f"{served.url}/result/from-elsewhere").status_code == 200, 30)
        shown = there.start(*result, "--json")
        assert shown.wait() == 0, shown.complained
        assert json.loads(shown.said)["status"] == "succeeded"
        assert httpx.get(f"{served.url}/readyz").json()["degraded"] == []
    elasticmq.client.delete_queue(QueueUrl=f"{elasticmq.endpoint}/000000000000/forebay")
    elasticmq.client.delete_queue(QueueUrl=f"{elasticmq.endpoint}/000000000000/forebay-dlq")


def _aws(command: str, environment: Mapping[str, str]) -> None:
    subprocess.run(
        ["bash", "-euc", f"{Path(sys.executable).parent}/aws {command}"], check=True, capture_output=True, timeout=60,
        env={**os.environ, **environment},
    )  # fmt: skip
