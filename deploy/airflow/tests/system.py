"""A whole Airflow of its own processes: API server, scheduler with its workers, DAG processor, triggerer."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
WITHIN = 90.0
"""Seconds that anything here may take: on two busy cores, importing Airflow takes many."""


@dataclass
class System:
    home: Path
    url: str
    environment: dict[str, str]
    processes: dict[str, "subprocess.Popen[bytes]"]
    token: str = ""

    def start(self, part: str) -> None:
        with (self.home / f"{part}.log").open("ab") as log:
            self.processes[part] = subprocess.Popen(
                [str(Path(sys.executable).with_name("airflow")), part], env=self.environment, stdout=log, stderr=log,
                cwd=self.home, start_new_session=True,
            )  # fmt: skip

    def stop(self, part: str) -> None:
        """With all that it started."""
        process = self.processes.pop(part)
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Of Airflow's REST API, decoded; until SQLite's one writer had time for it."""
        while True:
            try:
                return self._called(method, path, body)
            except urllib.error.HTTPError as met:
                if met.code != 503:
                    raise AssertionError(f"{method} {path}: {met.code} {met.read().decode(errors='replace')}") from None

    def _called(self, method: str, path: str, body: Any) -> Any:
        headers = {"content-type": "application/json"} | (
            {"authorization": f"Bearer {self.token}"} if self.token else {}
        )
        sent = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(
            urllib.request.Request(self.url + path, sent, headers, method=method), timeout=30
        ) as got:
            return json.loads(got.read() or b"null")

    def tasks(self, dag_id: str) -> dict[str, str | None]:
        """State of each task instance by DAG run."""
        return dict(self._rows("SELECT run_id, state FROM task_instance WHERE dag_id = ?", dag_id))

    def announced(self, dag_id: str, prefix: str) -> list[str]:
        """Scoring runs that events of assets tell of, by DAG runs whose name begins like this."""
        wanted = "SELECT extra FROM asset_event WHERE source_dag_id = ? AND source_run_id LIKE ?"
        return [json.loads(extra)["run_id"] for (extra,) in self._rows(wanted, dag_id, f"{prefix}%")]

    def parsed(self) -> set[str]:
        return {dag_id for (dag_id,) in self._rows("SELECT dag_id FROM serialized_dag")}

    def _rows(self, statement: str, *values: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.home / 'airflow.db'}?mode=ro", uri=True, timeout=60)) as database:
            return database.execute(statement, values).fetchall()

    def trigger(self, dag_id: str, logical_date: str) -> str:
        return str(self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": logical_date})["dag_run_id"])

    def mark_failed(self, dag_id: str, run_id: str) -> None:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/score"
        self.call("PATCH", path, {"new_state": "failed"})

    def clear(self, dag_id: str, run_id: str) -> None:
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run_id, "task_ids": ["score"]}
        self.call("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def said_of_kills(self) -> list[str]:
        """By the triggers of tasks that were killed."""
        logs = (file.read_text(errors="replace") for file in (self.home / "logs").rglob("*.trigger.*.log"))
        return [found for log in logs for found in re.findall(r"scoring run \S+ (goes on|was canceled|could not)", log)]


def until(what: str, holds: Callable[[], Any], within: float = WITHIN) -> None:
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end, f"not within {within:g} s: {what}"
        time.sleep(0.2)


@contextmanager
def running(home: Path, connection: str, dags: set[str]) -> Iterator[System]:
    """On the database that is in `home`, until the DAGs are known."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API_AUTH__JWT_SECRET": "known to these processes only" * 3,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(_free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(_free_port()),
        "AIRFLOW_CONN_FOREBAY_DEFAULT": connection,
    }
    system = System(home, url, environment, {})
    try:
        for part in PARTS:
            system.start(part)
        until("the API answers", lambda: _answers(system))
        system.token = system.call("GET", "/auth/token")["access_token"]
        until("the DAGs are known", lambda: dags <= system.parsed())
        yield system
    finally:
        for part in list(system.processes):
            system.stop(part)


def _answers(system: System) -> bool:
    try:
        return bool(system.call("GET", "/api/v2/monitor/health"))
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
