"""Starts a real ElasticMQ for tests: SQS in one process, in memory, on a port of 127.0.0.1.

    with ElasticMq.start() as server:
        server.endpoint
        server.stop()
        server.restart()

Leaving the block, an exception, Ctrl-C, SIGTERM and SIGKILL of who started it all end the same way: the guard (guard.py)
kills the server and removes its folder. What lies in its queues is gone with every stop.
"""

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Self

from tests.services import account as accounts
from tests.services import elasticmq_jars, guard
from tests.services.jars import Jars, archive_flags, archive_of
from tests.services.own_server import RECORD, OwnServer
from tests.services.ports import steady_port

QUICK = ("-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""Java's flags for tests: fast to start, a small share of two cores."""
THROUGHPUT = ("-Xms1g", "-Xmx1g", "-Xshare:auto")
"""Java's flags for benchmarks."""
READY_WITHIN = 60.0
STOPPED_WITHIN = 20.0
_CONFIGURATION = """
include classpath("application.conf")
rest-sqs {{ enabled = true, bind-hostname = "127.0.0.1", bind-port = {port}, sqs-limits = strict }}
rest-stats {{ enabled = false }}
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
"""


class ElasticMq(OwnServer):
    def __init__(self, jars: Jars, jvm: Sequence[str]) -> None:
        folder = accounts.fresh_folder("forebay-elasticmq-", None)
        super().__init__("ElasticMQ", folder, guard.guarded(folder, RECORD, signal.SIGKILL))
        self.port = steady_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._jars = jars
        self._jvm = list(jvm)
        (self.folder / "server.conf").write_text(_CONFIGURATION.format(port=self.port))

    @classmethod
    def start(cls, jvm: Sequence[str] = QUICK) -> Self:
        """A server that answers, without any queue. Raises NoElasticMq or Failed."""
        jars = elasticmq_jars.find()
        if not archive_of(jars).exists() and os.access(jars.folder, os.W_OK):
            _make_archive(jars)
        return cls(jars, [*jvm, *archive_flags(jars)])._started()

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """What lies in its queues is gone. Nothing when it is stopped."""
        self._end(number, STOPPED_WITHIN)

    def restart(self) -> None:
        """Stop it if it runs, then start it on the same port, empty, and wait until it answers."""
        self.stop()
        own = [f"-Dconfig.file={self.folder / 'server.conf'}", "-XX:-UsePerfData"]
        command = [str(self._jars.java), *self._jvm, *own, "-cp", self._jars.classpath, "org.elasticmq.server.Main"]
        self._launch(command)
        self._await(self._answers, READY_WITHIN)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.endpoint}/health", timeout=2.0).close()
        except urllib.error.HTTPError as answer:
            answer.close()
        except OSError:
            return False
        return True


def _make_archive(jars: Jars) -> None:
    """Once per cache: a server that starts and stops leaves its loaded classes."""
    made = jars.folder / f"{os.getpid()}.jsa"  # beside: both have to be of one file system to be moved
    with ElasticMq(jars, [*QUICK, f"-XX:ArchiveClassesAtExit={made}"])._started() as server:
        server.stop(signal.SIGTERM)
    made.touch()  # empty where this Java can't: not tried again
    made.chmod(0o644)
    made.replace(archive_of(jars))
