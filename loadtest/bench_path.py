"""Figures of the path itself and of the store under a backlog.

    make bench-path

Writes loadtest/reports/path.md. Nothing in it is written by hand.
"""

import statistics
import sys
import tempfile
from collections.abc import Sequence

from loadtest.bench.backlog import STEPS, Cost, costs
from loadtest.bench.machine import core_speed, pinned
from loadtest.bench.path import BATCH, FEATURES, STAGES, Spent, measure, profile
from loadtest.bench.report import Figure, Report, Runs, table
from tests.services.installations import NoPostgres
from tests.services.postgres import Postgres

ITEMS = 20_480
RUNS = 21
WANTED_PER_S = 100_000
BACKLOGS = (1_000, 10_000, 100_000, 1_000_000)
ROUNDS = 60
FLAT = 1.2
"""A job beside a million waiting may cost this much of one beside a thousand."""
FULL_SPEED = 0.9
"""Of the fastest the core was seen at."""


def main() -> int:
    report = Report(
        "The path itself, and the store under a backlog",
        "make bench-path",
        ("numpy", "msgspec", "sqlalchemy", "psycopg"),
    )
    _path(report)
    with tempfile.TemporaryDirectory() as folder:
        _flat(report, "SQLite", [f"sqlite:///{folder}/{rows}.db" for rows in BACKLOGS])
    try:
        with Postgres.start() as server:
            _flat(report, "PostgreSQL", [server.fresh_database() for _ in BACKLOGS])
    except NoPostgres as missing:
        report.section("Cost of a job by backlog, PostgreSQL", f"Not measured: {missing}")
    report.write("path")
    return 0 if all(figure.holds for figure in report.figures) else 1


# --- the path -----------------------------------------------------------------------------------------------------------
def _path(report: Report) -> None:
    with pinned(1):
        measure(ITEMS // 4)
        runs = [_one_run() for _ in range(RUNS)]
    fastest = max(speed for speed, _ in runs)
    full = [spent for speed, spent in runs if speed >= FULL_SPEED * fastest]
    every = Runs([ITEMS / spent.cpu for _, spent in runs])
    at_full = Runs([ITEMS / spent.cpu for spent in full])
    report.figures.append(
        Figure(
            "the path itself, items/s on one core, null model, memory queue",
            f"≥ {WANTED_PER_S:,}",
            f"{at_full.shown()} with the core at full speed; all runs {every.shown()}",
            at_full.median >= WANTED_PER_S,
        )
    )
    report.section(
        "The path itself",
        f"A worker's own parts, stepped in one thread on one core: receive, claim, decode and validate {FEATURES} floats of "
        f"JSON, pack into batches of {BATCH}, start, null model, check and encode the output, record, settle. "
        f"{RUNS} runs of {ITEMS:,} items, seconds are the core's own time.",
        table(("runs", "items/s, median (lowest to highest)"), _speeds(full, at_full, every)),
        f"A core of a shared machine is now faster, now slower. Beside each run a bare Python loop was timed: it made "
        f"{min(s for s, _ in runs):.1f} to {fastest:.1f} million rounds per second. Full speed means at least "
        f"{FULL_SPEED:.0%} of the fastest.",
        table(("stage", "µs per item, median at full speed", "share"), _stages(full)),
        "Profiled, the dearest functions (the profiler adds to every call; own time, without what they call):",
        table(("function", "calls per item", "µs per item"), profile(ITEMS, 15)),
    )


def _one_run() -> tuple[float, Spent]:
    before = core_speed()
    spent = measure(ITEMS)
    return min(before, core_speed()), spent


def _speeds(full: Sequence[Spent], at_full: Runs, every: Runs) -> list[tuple[str, str]]:
    return [(f"{len(full)} at full speed", at_full.shown()), (f"all {len(every.values)}", every.shown())]


def _stages(full: Sequence[Spent]) -> list[tuple[str, str, str]]:
    each = {stage: statistics.median(spent.stages[stage] / ITEMS * 1e6 for spent in full) for stage in STAGES}
    what = {
        "intake": "intake: receive, claim, decode, validate, admit",
        "device": "device: pack, start, null model, judge, encode",
        "recorder": "recorder: record, settle, credits",
    }
    total = sum(each.values())
    return [(what[stage], f"{each[stage]:.2f}", f"{each[stage] / total:.0%}") for stage in STAGES]


# --- the backlog --------------------------------------------------------------------------------------------------------
def _flat(report: Report, name: str, urls: Sequence[str]) -> None:
    measured = costs(urls, BACKLOGS, ROUNDS)
    ratios = [_ratio(cost, measured[0]) for cost in measured]
    worst = max(ratios)
    report.figures.append(
        Figure(
            f"cost per job from {BACKLOGS[0]:,} to {BACKLOGS[-1]:,} queued rows, {name}",
            f"flat within {FLAT - 1:.0%}",
            f"at most {worst:.2f} ×, at {BACKLOGS[-1]:,} rows {ratios[-1]:.2f} ×",
            worst <= FLAT,
        )
    )
    report.section(
        f"Cost of a job by backlog, {name}",
        f"Batches of {BATCH}: claim, start, record, and as many submitted, every commit synced. {ROUNDS} rounds, every backlog "
        "in each round; µs per job, medians. The ratio is the median over rounds of this backlog to the smallest.",
        table(("queued rows", *STEPS, "all", "ratio"), [_line(c, r) for c, r in zip(measured, ratios, strict=True)]),
    )


def _ratio(cost: Cost, base: Cost) -> float:
    return statistics.median(mine / its for mine, its in zip(cost.job(), base.job(), strict=True))


def _line(cost: Cost, ratio: float) -> tuple[str, ...]:
    steps = [f"{statistics.median(cost.steps[step]):.1f}" for step in STEPS]
    return (f"{cost.rows:,}", *steps, f"{statistics.median(cost.job()):.1f}", f"{ratio:.2f}")


if __name__ == "__main__":
    sys.exit(main())
