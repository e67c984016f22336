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
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Self

from tests.services import account as accounts
from tests.services import elasticmq_jars, guard
from tests.services.jars import Jars, archive_flags, archive_of
from tests.services.ports import steady_port

QUICK = ("-Xms32m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""Java's flags for tests: fast to start, a small share of two cores."""
THROUGHPUT = ("-Xms256m", "-Xmx512m", "-Xshare:auto")
"""Java's flags for benchmarks."""
READY_WITHIN = 60.0
STOPPED_WITHIN = 20.0
_POLL = 0.02
_RECORD = "pid"
# The process number is on disk before there is a server, so the guard finds it whenever its owner ends.
_RECORDED = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')
_CONFIGURATION = """
include classpath("application.conf")
rest-sqs {{ enabled = true, bind-hostname = "127.0.0.1", bind-port = {port}, sqs-limits = strict }}
rest-stats {{ enabled = false }}
node-address {{ protocol = http, host = "127.0.0.1", port = {port}, context-path = "" }}
"""


class Failed(Exception):
    """The server did not start or stop: carries what its log says."""


class ElasticMq:
    def __init__(self, jars: Jars, jvm: Sequence[str]) -> None:
        self.folder = accounts.fresh_folder("forebay-elasticmq-", None)
        self.port = steady_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._jars = jars
        self._jvm = list(jvm)
        self._guard = guard.guarded(self.folder, _RECORD, signal.SIGKILL)
        self._server: subprocess.Popen[bytes] | None = None
        (self.folder / "server.conf").write_text(_CONFIGURATION.format(port=self.port))

    @classmethod
    def start(cls, jvm: Sequence[str] = QUICK) -> Self:
        """A server that answers, without any queue. Raises NoElasticMq or Failed."""
        jars = elasticmq_jars.find()
        if not archive_of(jars).exists() and os.access(jars.folder, os.W_OK):
            _make_archive(jars)
        return cls._started(jars, [*jvm, *archive_flags(jars)])

    @classmethod
    def _started(cls, jars: Jars, jvm: Sequence[str]) -> Self:
        server = cls(jars, jvm)
        try:
            server.restart()
        except BaseException:
            server.close()
            raise
        return server

    @property
    def pid(self) -> int:
        """Raises Failed when the server is stopped."""
        if self._server is None or self._server.poll() is not None:
            raise Failed("the server is stopped: it has no pid")
        return self._server.pid

    def stop(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Nothing when it is stopped."""
        server, self._server = self._server, None
        if server is None:
            return
        server.send_signal(number)
        server.send_signal(signal.SIGCONT)  # a test may have frozen it
        try:
            server.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    def restart(self) -> None:
        """Stop it if it runs, then start it on the same port, empty, and wait until it answers."""
        self.stop()
        own = [f"-Dconfig.file={self.folder / 'server.conf'}", "-XX:-UsePerfData"]
        command = [str(self._jars.java), *self._jvm, *own, "-cp", self._jars.classpath, "org.elasticmq.server.Main"]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*_RECORDED, self.folder / _RECORD, *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **accounts.process_options(None),
            )  # fmt: skip
        self._await_ready(self._server)

    def close(self) -> None:
        """Kill the server and remove its data. Nothing the second time."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        if self._server is not None:
            self._server.wait()
            self._server = None
        self._guard.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _await_ready(self, server: "subprocess.Popen[bytes]") -> None:
        end = time.monotonic() + READY_WITHIN
        while not self._answers():
            said = (self.folder / "log").read_text(errors="replace")[-500:]
            if server.poll() is not None:
                raise Failed(f"ElasticMQ ended with {server.returncode}: {said}")
            if time.monotonic() > end:
                raise Failed(f"ElasticMQ did not answer within {READY_WITHIN:g} s: {said}")
            time.sleep(_POLL)

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
    with ElasticMq._started(jars, [*QUICK, f"-XX:ArchiveClassesAtExit={made}"]) as server:
        server.stop(signal.SIGTERM)
    made.touch()  # empty where this Java can't: not tried again
    made.chmod(0o644)
    made.replace(archive_of(jars))
