"""Figures of the API: durable submits beside a bare route, submit to result beside Celery, latency when idle.

    make bench-api

Writes loadtest/reports/api.md. Nothing in it is written by hand. `--only submit|lanes|worker|idle|peer` measures a part, to
try things.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from loadtest.bench import celery_peer, lanes
from loadtest.bench.processes import python, serving
from loadtest.bench.report import Figure, Report, Runs, table
from loadtest.bench.round_trips import HELD_OUT
from loadtest.bench.sqs_stage import Stage
from loadtest.bench.wire import Connection, request
from tests.services.elasticmq import THROUGHPUT, ElasticMq
from tests.services.elasticmq_jars import NoElasticMq
from tests.services.installations import NoPostgres
from tests.services.moto_server import ACCESS
from tests.services.postgres import Postgres

CONNECTIONS = 64
SUBMITS = 5_000
ROUNDS = 7
COMMIT_DELAY_MS = 5
WANTED_OF_BARE = 0.9
WANTED_DELAYED = 0.5
WANTED_OF_STORE = 0.8
LANE_SUBMITS, LANE_ROUNDS = 20_000, 5
MESSAGES, PARALLEL = 5_000, 4
WANTED_OF_LOOP = 0.8
IDLE = 300
WANTED_IDLE_MS = 15.0
JOBS = 3_000
TRIAL_JOBS = 600
PEER_ROUNDS = 5
WANTED_OF_CELERY = 2.5
SERVER_CORE, LOAD_CORE = 0, 1
PACKAGES = (
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "pydantic",
    "msgspec",
    "sqlalchemy",
    "psycopg",
    "boto3",
    "confluent-kafka",
    "onnxruntime",
)


def main(parts: Sequence[str]) -> int:
    report = Report("The API: durable submits, submit to result, latency when idle", "make bench-api", PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        if "submit" in parts:
            _submits(report, Path(folder))
        if "lanes" in parts:
            _lanes(report, Path(folder))
        if "worker" in parts:
            _worker(report)
        if "idle" in parts:
            _idle(report, Path(folder))
        if "peer" in parts:
            _peer(report, Path(folder))
    report.write("api" if len(parts) == len(PARTS) else "api-" + "-".join(parts))
    return 0 if all(figure.holds for figure in report.figures) else 1


PARTS = ("submit", "lanes", "worker", "idle", "peer")
BARE, SQLITE, POSTGRES = "bare FastAPI route, nothing stored", "Forebay on SQLite", "Forebay on PostgreSQL"
DELAYED = f", {COMMIT_DELAY_MS} ms added to every commit"


# --- durable submits ----------------------------------------------------------------------------------------------------
def _submits(report: Report, folder: Path) -> None:
    with ExitStack() as stack:
        ports = {name: stack.enter_context(server).port for name, server in _servers(stack, folder)}
        for port in ports.values():
            _flood(port, 1_000)
        rounds = [{name: _flood(port, SUBMITS) for name, port in ports.items()} for _ in range(ROUNDS)]
    rates = {name: Runs([each[name]["rate"] for each in rounds]) for name in ports}
    ratios = {name: Runs([each[name]["rate"] / each[BARE]["rate"] for each in rounds]) for name in ports}
    for name in ports:
        if name != BARE:
            wanted = WANTED_DELAYED if name.endswith(DELAYED) else WANTED_OF_BARE
            what = f"durable submits, {name}, beside a bare FastAPI route that stores nothing"
            holds = ratios[name].median >= wanted
            report.figures.append(Figure(what, f"≥ {wanted} ×", f"{ratios[name].shown(2)} ×", holds))
    busy = max(each[name]["busy"] for each in rounds for name in ports)
    report.section(
        "Durable submits",
        f"`POST /predict_async` of a digit (64 numbers), 202 after the commit (SQLite with `synchronous=FULL`), beside a FastAPI "
        f"route with a pydantic body that stores nothing. One server process each, on core {SERVER_CORE}, the same server "
        f"settings; load from core {LOAD_CORE}, {CONNECTIONS} connections, {SUBMITS:,} requests each, {ROUNDS} runs, in turn. "
        f"PostgreSQL itself may run on both cores. The load generator was at most {busy:.0%} busy.",
        table(("server", "submits/s", "ratio, run by run"), [(n, rates[n].shown(), ratios[n].shown(2)) for n in ports]),
    )


def _servers(stack: ExitStack, folder: Path) -> Iterator[tuple[str, Any]]:
    serve = python("-m", "loadtest.bench.serve")
    yield BARE, serving([*serve, "bare"], SERVER_CORE)
    stores = {SQLITE: [f"sqlite:///{folder}/{n}.db" for n in range(2)]}
    try:
        postgres = stack.enter_context(Postgres.start())
        stores[POSTGRES] = [postgres.fresh_database() for _ in range(2)]
    except NoPostgres as missing:
        sys.stdout.write(f"PostgreSQL is not measured: {missing}\n")
    for name, urls in stores.items():
        for url, delay, suffix in zip(urls, ("0", str(COMMIT_DELAY_MS)), ("", DELAYED), strict=True):
            home = folder / f"home-{name[-6:]}-{delay}"
            yield name + suffix, serving([*serve, "forebay", url, home, delay], SERVER_CORE)


def _flood(port: int, requests: int) -> dict[str, float]:
    row = json.loads(HELD_OUT.read_text().splitlines()[0])
    given = request("POST", "/predict_async", json.dumps({"model": "digits", "inputs": row["inputs"]}).encode())
    command = python("-m", "loadtest.bench.flood", *map(str, (port, requests, CONNECTIONS, LOAD_CORE)))
    said = json.loads(subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True).stdout)
    assert said["statuses"] == {"202": requests}, f"expected {requests} answers 202, got {said['statuses']}"
    return {"rate": requests / said["seconds"], "busy": said["busy"]}


# --- lanes --------------------------------------------------------------------------------------------------------------
def _lanes(report: Report, folder: Path) -> None:
    with lanes.lanes(folder, SERVER_CORE) as found:
        for lane in found.values():  # until Java has compiled what it runs
            _told(lane)
            _told(lane)
        rounds = [{name: _told(lane) for name, lane in found.items()} for _ in range(LANE_ROUNDS)]
    rates = {name: Runs([each[name]["rate"] for each in rounds]) for name in found}
    ratios = {name: Runs([each[name]["rate"] / each[lanes.STORE]["rate"] for each in rounds]) for name in found}
    if lanes.SQS in found:
        what = "submits through SQS (ElasticMQ), beside the store as the queue"
        holds = ratios[lanes.SQS].median >= WANTED_OF_STORE
        report.figures.append(Figure(what, f"≥ {WANTED_OF_STORE} ×", f"{ratios[lanes.SQS].shown(2)} ×", holds))
    rows = [
        (
            name,
            rates[name].shown(),
            ratios[name].shown(2),
            *(Runs([e[name][part] for e in rounds]).shown(1) for part in _TOLD),
        )
        for name in found
    ]
    report.section(
        "Submits by kind of queue",
        f"The same PostgreSQL (a database each), the same digits; nobody works. One API process each on core {SERVER_CORE}, load "
        f"from core {LOAD_CORE}, {CONNECTIONS} connections, {LANE_SUBMITS:,} requests each, {LANE_ROUNDS} runs, in turn; "
        f"PostgreSQL, Kafka and ElasticMQ (a JVM each, warm: {2 * LANE_SUBMITS:,} submits before) may run on both cores. The "
        "last columns are CPU time until each row was stamped, in µs per submit. Rows are stamped as sent every 5 s: "
        "`unstamped` is the percent of those that were not when the last 202 came, `until stamped` the seconds from then until "
        "each was, with its message confirmed by the broker.",
        table(
            ("queue", "submits/s", "ratio, run by run", "unstamped", "until stamped", "API", "PostgreSQL", "broker"),
            rows,
        ),
    )


_TOLD = ("untold", "until_told", *lanes.PARTIES)


def _told(lane: lanes.Lane) -> dict[str, float]:
    before = lane.cpu()
    measured = _flood(lane.port, LANE_SUBMITS)
    untold = lane.untold() if lane.broker else 0
    until_told = lane.await_told() if lane.broker else 0.0
    used = {name: (seconds - before[name]) / LANE_SUBMITS * 1e6 for name, seconds in lane.cpu().items()}
    return measured | {"untold": 100.0 * untold / LANE_SUBMITS, "until_told": until_told} | used


# --- a worker on SQS ----------------------------------------------------------------------------------------------------
def _worker(report: Report) -> None:
    try:
        server = ElasticMq.start(THROUGHPUT)
    except NoElasticMq as missing:
        sys.stdout.write(f"SQS is not measured: {missing}\n")
        return
    with server:
        stage = Stage(server.endpoint, ACCESS["AWS_DEFAULT_REGION"], PARALLEL)
        stage.rates(MESSAGES, 1)
        rates = stage.rates(MESSAGES, ROUNDS)
    ratio = Runs([worker / loop for worker, loop in zip(rates.worker, rates.loop, strict=True)])
    what = "a worker with a null model on SQS, receive to settle, beside a boto3 loop that receives and deletes"
    holds = ratio.median >= WANTED_OF_LOOP
    report.figures.append(Figure(what, f"≥ {WANTED_OF_LOOP} ×", f"{ratio.shown(2)} ×", holds))
    report.section(
        "Receive to settle on SQS",
        f"{MESSAGES:,} messages on ElasticMQ, {PARALLEL} calls of a kind in flight, {ROUNDS} runs in turn, until the queue is "
        "empty; all on both cores. The worker: claim, decode, batch, a model that does nothing, record (in memory), delete. The "
        "loop: boto3 as it comes, `receive_message`, `delete_message_batch`.",
        table(
            ("who", "messages/s", "ratio, run by run"),
            [
                ("Forebay's worker", Runs(rates.worker).shown(), ratio.shown(2)),
                ("boto3 loop", Runs(rates.loop).shown(), "1"),
            ],
        ),
    )


# --- idle ---------------------------------------------------------------------------------------------------------------
@contextmanager
def _forebay_up(home: Path) -> Iterator[int]:
    with serving(python("-P", "-m", "forebay.cli.app", "up", "--port", "0", "--home", home)) as up:
        yield up.port


def _idle(report: Report, folder: Path) -> None:
    with _forebay_up(folder / "idle") as port:
        times = Runs(asyncio.run(_one_by_one(port)))
    p50, p95, p99 = (statistics.quantiles(times.values, n=100)[n - 1] for n in (50, 95, 99))
    what = "idle latency, submit to result with `Prefer: wait`, embedded default, p50"
    report.figures.append(Figure(what, f"≤ {WANTED_IDLE_MS:.0f} ms", f"{p50:.1f} ms", p50 <= WANTED_IDLE_MS))
    report.section(
        "Latency when idle",
        f"`forebay up`, {IDLE} submits one after the other with `Prefer: wait`, each answered 200 with its result; ms.",
        table(("p50", "p95", "p99", "slowest"), [tuple(f"{ms:.1f}" for ms in (p50, p95, p99, max(times.values)))]),
    )


async def _one_by_one(port: int) -> list[float]:
    connection = await Connection.open(port)
    times = []
    for line in HELD_OUT.read_text().splitlines()[: IDLE + 20]:
        body = json.dumps({"model": "digits", "inputs": json.loads(line)["inputs"]}).encode()
        given = request("POST", "/predict_async", body, "prefer: wait=10\r\n")
        began = perf_counter()
        status, said = await connection.ask(given)
        times.append((perf_counter() - began) * 1000)
        assert status == 200, said
    connection.close()
    assert len(times) >= IDLE, f"expected {IDLE} held-out rows, there are {len(times)}"
    return times[-IDLE:]


# --- peer ---------------------------------------------------------------------------------------------------------------
def _peer(report: Report, folder: Path) -> None:
    celery_peer.install()
    trials = {
        (kind, concurrency): trial
        for concurrency in (1, 2)
        for kind, trial in _celery_trials(concurrency, folder).items()
    }
    kind, concurrency = max(trials, key=lambda way: trials[way])
    ours, theirs = [], []
    with _forebay_up(folder / "peer") as forebay, celery_peer.running(concurrency, folder) as celery:
        _round_trips("forebay", forebay, TRIAL_JOBS)
        _round_trips(kind, celery, TRIAL_JOBS)
        for _ in range(PEER_ROUNDS):
            ours.append(_round_trips("forebay", forebay, JOBS))
            theirs.append(_round_trips(kind, celery, JOBS))
    ratio = Runs([mine["rate"] / its["rate"] for mine, its in zip(ours, theirs, strict=True)])
    what = "submit to result over HTTP beside Celery with Redis, the same model"
    holds = ratio.median >= WANTED_OF_CELERY
    report.figures.append(Figure(what, f"≥ {WANTED_OF_CELERY} ×", f"{ratio.shown(2)} ×", holds))
    report.section(
        "Submit to result beside Celery",
        f"{CONNECTIONS} clients, each submits a digit and waits for its result before the next; {JOBS:,} jobs a run, "
        f"{PEER_ROUNDS} runs in turn; every system and the clients on all cores. Forebay: `forebay up` on its embedded default, "
        f"`GET /result/<id>?wait=`. Celery: {celery_peer.packages()}; nothing written to disk, results in Redis.",
        table(
            ("system", "jobs/s", "p50 ms", "p99 ms", "digits right", "ratio, run by run"),
            [_line("Forebay", ours, ratio.shown(2)), _line(f"Celery, {kind}, concurrency {concurrency}", theirs, "1")],
        ),
        f"Of Celery's ways the quickest of a trial with {TRIAL_JOBS} jobs was taken (`celery-wait`: the front end waits with "
        "`AsyncResult.get(timeout=)`; `celery-poll`: the client asks every 20 ms):",
        table(("way", "concurrency", "jobs/s"), [(way, str(n), f"{rate:,.0f}") for (way, n), rate in trials.items()]),
    )


def _celery_trials(concurrency: int, folder: Path) -> dict[str, float]:
    with celery_peer.running(concurrency, folder) as port:
        _round_trips("celery-poll", port, TRIAL_JOBS // 3)
        return {kind: _round_trips(kind, port, TRIAL_JOBS)["rate"] for kind in ("celery-wait", "celery-poll")}


def _round_trips(kind: str, port: int, jobs: int) -> dict[str, Any]:
    command = python("-m", "loadtest.bench.round_trips", kind, *map(str, (port, jobs, CONNECTIONS)))
    said: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return said | {"rate": jobs / said["seconds"]}


def _line(name: str, runs: Sequence[dict[str, Any]], ratio: str) -> tuple[str, ...]:
    rate = Runs([run["rate"] for run in runs]).shown()
    p50, p99 = (
        statistics.median(statistics.quantiles(run["latencies"], n=100)[n - 1] * 1000 for run in runs) for n in (50, 99)
    )
    right = statistics.median(run["right"] for run in runs)
    return (name, rate, f"{p50:.0f}", f"{p99:.0f}", f"{right:.1%}", ratio)


if __name__ == "__main__":
    chosen = sys.argv[2:] if sys.argv[1:2] == ["--only"] else PARTS
    sys.exit(main(chosen))
