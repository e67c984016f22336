"""The harness itself: what it promises to the tests that lean on it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.services.databases import Databases
from tests.services.guard import postmaster
from tests.services.installations import CHOICE, NoPostgres, find
from tests.services.own_server import Failed
from tests.services.postgres import Postgres
from tests.services.require import require

WITHIN = 20.0
STARTER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs tests in the background has it ignored
from tests.services.postgres import Postgres
server = Postgres.start(fsync=False)
print(server.pid, server.folder, flush=True)
signal.pause()
"""


@pytest.fixture
def installed() -> None:
    """For tests that start servers of their own."""
    try:
        find()
    except NoPostgres as missing:
        require(str(missing))


def test_databases_are_fresh_and_apart(postgres: Databases) -> None:
    with postgres.database() as one, postgres.database() as other:
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE here (x int)")
        with psycopg.connect(other) as connection:
            assert connection.execute("SELECT to_regclass('here')").fetchone() == (None,)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(one)


def test_a_database_is_dropped_though_somebody_is_connected(postgres: Databases) -> None:
    url = postgres.fresh_database()
    with psycopg.connect(url) as connection:
        postgres.drop(url)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


@pytest.mark.usefixtures("installed")
def test_committed_rows_outlive_a_crash_and_the_port_stays() -> None:
    with Postgres.start(fsync=False) as server:
        url = server.fresh_database()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS x")
        server.stop("immediate")
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        with pytest.raises(Failed, match="stopped"):
            _ = server.pid
        server.restart()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT x FROM kept").fetchone() == (1,)
    assert not server.folder.exists()
    server.close()  # a second time does nothing


@pytest.mark.usefixtures("installed")
def test_a_setting_the_server_refuses_is_told_with_its_log() -> None:
    with pytest.raises(Failed, match="no_such_setting"):
        Postgres.start(options={"no_such_setting": "1"})


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_its_owner_is_killed(end: signal.Signals) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert starter.stdout is not None
    pid, folder = starter.stdout.readline().split()
    assert postmaster(Path(folder)) == int(pid)
    starter.send_signal(end)
    starter.stdout.close()
    starter.wait()
    deadline = time.monotonic() + WITHIN
    while os.path.exists(f"/proc/{pid}") or Path(folder).exists():
        assert time.monotonic() < deadline, f"{folder} or process {pid} is still there"
        time.sleep(0.05)


def test_a_folder_without_programs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoPostgres, match="expected PostgreSQL's bin folder"):
        find(tmp_path)
    monkeypatch.setenv(CHOICE, str(tmp_path))
    with pytest.raises(NoPostgres, match=str(tmp_path)):
        find()


def test_a_version_that_is_not_supported_is_refused(tmp_path: Path) -> None:
    for program in ("postgres", "initdb"):
        (tmp_path / program).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n")
        (tmp_path / program).chmod(0o755)
    with pytest.raises(NoPostgres, match="PostgreSQL 9; expected 15 to 18"):
        find(tmp_path)
