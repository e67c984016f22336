"""Figures of the scoring lane: beside a loop written by hand, Ray Data and PySpark; memory; a killed run that goes on.

    make bench-scoring

Writes loadtest/reports/scoring.md. Nothing in it is written by hand. `--only loop|peers|memory|resume` measures a part, and
`--rows N` of a smaller data set, to try things.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from loadtest.bench.peer import Peer
from loadtest.bench.report import Figure, Report, Runs, table
from loadtest.bench.scoring_check import expected
from loadtest.bench.scoring_data import CACHE, FILES, ROW_GROUPS, data_set
from loadtest.bench.scoring_peers import BATCH as PEER_BATCH
from loadtest.bench.scoring_peers import RAY, SPARK
from loadtest.bench.scoring_stage import CORES, Loop, Stage
from loadtest.bench.stream_model import BATCH, FEATURES, WIDTHS, write_repository

ROWS = 5_000_000
TIMES = 10
"""So many times the rows in the larger run of memory."""
ROUNDS = 5
PEER_ROUNDS = 3
RESUME_ROUNDS = 3
LOOPS = tuple(Loop(*each) for each in product(("batches", "scanner"), (4_096, 16_384, 65_536, 250_000), (1, CORES)))
TRIES = 2
WANTED_LOOP = 1.0
WANTED_PEER = 3.0
WANTED_MB = 600.0
KILLED_AT = 0.9
WANTED_RESUME = 0.15
RESUME_PARTS = 20
PARTS = ("loop", "peers", "memory", "resume")
PACKAGES = ("numpy", "onnxruntime", "pyarrow")
_MODEL = f"columns: {{features: ['f{{0..{FEATURES - 1}}}']}}\npassthrough: [id]\n"


def main(parts: Sequence[str], rows: int) -> int:
    report = Report("The scoring lane: rate, memory, going on after a kill", "make bench-scoring", PACKAGES)
    with _stage(rows) as stage:
        if "loop" in parts:
            _loop(report, stage)
        if "peers" in parts:
            _peers(report, stage)
        if "memory" in parts:
            _memory(report, stage)
        if "resume" in parts:
            _resume(report, stage)
    full = len(parts) == len(PARTS) and rows == ROWS
    report.write("scoring" if full else "scoring-" + "-".join(parts))
    return 0 if all(figure.holds for figure in report.figures) else 1


@contextmanager
def _stage(rows: int) -> Iterator[Stage]:
    """On so many cores, this process and those it starts."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    data = data_set(rows)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:  # beside the data: files are linked
        model = write_repository(Path(folder) / "models", BATCH, _MODEL, flat=True)
        yield Stage(data, Path(folder), model, expected(data, model))


# --- beside a loop by hand ----------------------------------------------------------------------------------------------
def _loop(report: Report, stage: Stage) -> None:
    tried = {loop: min(stage.loop(loop) for _ in range(TRIES)) for loop in LOOPS}
    best = min(tried, key=lambda loop: tried[loop])
    rounds = [(stage.forebay(), stage.loop(best)) for _ in range(ROUNDS)]
    ours, theirs = (Runs(list(each)) for each in zip(*rounds, strict=True))
    ratio = Runs([loop / forebay for forebay, loop in rounds])
    what = "rate of forebay score, whole process, beside a loop by hand"
    report.figures.append(Figure(what, f"≥ {WANTED_LOOP:.1f} ×", f"{ratio.shown(2)} ×", ratio.median >= WANTED_LOOP))
    rows = [(str(loop), f"{seconds:.2f}") for loop, seconds in sorted(tried.items(), key=lambda each: each[1])]
    report.section(
        "Beside a loop by hand",
        f"{_told(stage)} Seconds from a process's start to its exit. The loop (loadtest/bench/scoring_loop.py) reads with "
        f"pyarrow, runs ONNX Runtime, writes with ParquetWriter: no checks, no checksums, nothing synced, nothing to go on "
        f"from. It was tried in {len(LOOPS)} ways, {TRIES} times each, and its best was taken: {best}. {ROUNDS} rounds in "
        "turn; the ratio is of rates, in a round.",
        table(
            ("", "s", "rows/s", "forebay's ratio to it"),
            [
                ("forebay score", ours.shown(2), f"{stage.data.rows / ours.median:,.0f}", ""),
                ("loop by hand", theirs.shown(2), f"{stage.data.rows / theirs.median:,.0f}", f"{ratio.shown(2)} ×"),
            ],
        ),
        f"Ways to write the loop, the better of {TRIES}:",
        table(("loop", "s"), rows),
    )


def _told(stage: Stage) -> str:
    return (
        f"{stage.data.rows:,} rows of an id and {FEATURES} float32 columns, {stage.data.bytes / 1e6:.0f} MB in {FILES} files "
        f"of {ROW_GROUPS} row groups, in the page cache; a perceptron {'-'.join(map(str, WIDTHS))} on "
        f"ONNX Runtime, batches of {BATCH}; {CORES} cores. Out come id and score. Every output was read back: its rows, the "
        "scores' sum, and their sum by id."
    )


# --- peers --------------------------------------------------------------------------------------------------------------
def _peers(report: Report, stage: Stage) -> None:
    peers = (RAY, SPARK)
    for peer in peers:
        peer.install()
    rounds = [(stage.forebay(), *(stage.peer(peer) for peer in peers)) for _ in range(PEER_ROUNDS)]
    ours, *theirs = (Runs(list(each)) for each in zip(*rounds, strict=True))
    ratios = [Runs([other / own for own, other in zip(ours.values, runs.values, strict=True)]) for runs in theirs]
    for peer, ratio in zip(peers, ratios, strict=True):
        what = f"rate of forebay score, whole process, beside {_SHORT[peer]}"
        report.figures.append(Figure(what, f"≥ {WANTED_PEER:g} ×", f"{ratio.shown(2)} ×", ratio.median >= WANTED_PEER))
    lines = [("forebay score", ours.shown(2), "")]
    lines += [
        (peer.title, runs.shown(2), f"{ratio.shown(2)} ×")
        for peer, runs, ratio in zip(peers, theirs, ratios, strict=True)
    ]
    report.section(
        "Peers",
        f"The same data set and model, whole processes as well, {PEER_ROUNDS} rounds in turn. Start-up counts: nobody's "
        "cluster stands by on a machine of its own. What they wrote was checked in the same way.",
        table(("", "s", "forebay's ratio to it"), lines),
        "\n".join(f"- {peer.title}: {_LONG[peer]} (loadtest/peers/{peer.name}); {peer.packages()}" for peer in peers),
    )


_SHORT: dict[Peer, str] = {RAY: "Ray Data `map_batches`", SPARK: "PySpark `pandas_udf`"}
_LONG: dict[Peer, str] = {
    RAY: f"read_parquet → map_batches (an actor with the model, {PEER_BATCH:,} rows at a time) → write_parquet",
    SPARK: f"`local[{CORES}]`, a pandas_udf of iterators ({PEER_BATCH:,} rows at a time), the model loaded once per worker",
}


# --- memory -------------------------------------------------------------------------------------------------------------
def _memory(report: Report, stage: Stage) -> None:
    stages = (stage, stage.repeated(TIMES))
    runs = [(each.data.rows, each.memory()) for each in stages]
    for rows, run in runs:
        what = f"peak memory at {rows:,} rows"
        report.figures.append(Figure(what, f"≤ {WANTED_MB:g} MB", f"{run.peak:.0f} MB", run.peak <= WANTED_MB))
    report.section(
        "Memory",
        "The most resident memory that each process of the run ever held (VmHWM), added up. The larger data set is the same "
        f"files, each under {TIMES} names.",
        table(("rows", "MB", "s"), [(f"{rows:,}", f"{run.peak:.0f}", f"{run.seconds:.1f}") for rows, run in runs]),
    )


# --- going on -----------------------------------------------------------------------------------------------------------
def _resume(report: Report, stage: Stage) -> None:
    lines = []
    for each in (stage, stage.repeated(TIMES)):
        part_rows = each.data.rows // RESUME_PARTS
        rounds = [_killed(each, part_rows) for _ in range(RESUME_ROUNDS)]
        full, rest = (Runs(list(seconds)) for seconds in zip(*rounds, strict=True))
        share = Runs([100 * again / once for once, again in rounds])
        lines.append((f"{each.data.rows:,}", full.shown(2), rest.shown(2), f"{share.shown(1)} %"))
    what = f"time of going on after a SIGKILL at {KILLED_AT:.0%}, beside the full run, {each.data.rows:,} rows"
    report.figures.append(
        Figure(what, f"≤ {WANTED_RESUME:.0%}", f"{share.shown(1)} %", share.median <= 100 * WANTED_RESUME)
    )
    report.section(
        "Going on",
        f"{RESUME_PARTS} parts. The first attempt is killed (SIGKILL) as soon as {KILLED_AT:.0%} of them are recorded; the "
        f"second is timed from start to exit. {RESUME_ROUNDS} rounds. Of a run that takes seconds, most of the second attempt "
        "is the start of Python and its imports, which no record of what is done saves.",
        table(("rows", "full run, s", "going on, s", "share"), lines),
    )


def _killed(stage: Stage, part_rows: int) -> tuple[float, float]:
    """Seconds of a full run, and of what was left of one."""
    return stage.forebay("--part-rows", str(part_rows)), stage.resumed(part_rows, round(KILLED_AT * RESUME_PARTS))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rows", type=int, default=ROWS)
    return parser.parse_args()


if __name__ == "__main__":
    given = _arguments()
    sys.exit(main([part for part in PARTS if part in given.only], given.rows))
