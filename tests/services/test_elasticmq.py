"""The ElasticMQ harness itself: what it promises to the tests that lean on it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import elasticmq_jars
from tests.services.elasticmq import ElasticMq
from tests.services.elasticmq_jars import NoElasticMq
from tests.services.guard import running
from tests.services.own_server import Failed
from tests.services.require import require
from tests.services.sqs_server import SqsServer, server

WITHIN = 30.0
STARTER = """
import signal
from tests.services.elasticmq import ElasticMq
server = ElasticMq.start()
print(server.pid, server.folder, flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def own() -> Iterator[ElasticMq]:
    """A server that the tests of this file may stop, and leave running for the next."""
    try:
        made = ElasticMq.start()
    except NoElasticMq as missing:
        require(str(missing))
    with made:
        yield made


def test_it_comes_back_on_its_port_without_its_queues(own: ElasticMq) -> None:
    with SqsServer(own.endpoint) as asked:
        asked.fresh_queue()
        before = own.pid
        own.stop()
        with pytest.raises(Failed, match="stopped"):
            _ = own.pid
        own.restart()
        assert own.pid != before
        assert asked.client.list_queues().get("QueueUrls", []) == []


@pytest.mark.usefixtures("own")
def test_nothing_is_left_when_its_owner_is_killed() -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert starter.stdout is not None
    try:
        pid, folder = starter.stdout.readline().split()
        assert running(Path(folder), "pid") == int(pid)
        starter.send_signal(signal.SIGKILL)
        starter.wait(WITHIN)
    finally:
        starter.kill()
        starter.wait()
        starter.stdout.close()
    deadline = time.monotonic() + WITHIN
    while Path(f"/proc/{pid}").exists() or Path(folder).exists():
        assert time.monotonic() < deadline, f"{folder} or process {pid} is still there"
        time.sleep(0.05)


def test_a_running_server_is_lent_and_keeps_only_what_was_its_own(
    own: ElasticMq, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SqsServer(own.endpoint) as theirs:
        kept = theirs.fresh_queue()
        monkeypatch.setenv(elasticmq_jars.RUNNING, own.endpoint)
        with server() as lent:
            assert lent.endpoint == own.endpoint
            ours = lent.fresh_queue()
        left = theirs.client.list_queues()["QueueUrls"]
        assert kept in left
        assert ours not in left
