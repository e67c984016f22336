"""Figures of the stream lane: beside a loop written by hand, a loop that copies, Quix Streams and Faust; memory; latency.

    make bench-stream

Writes loadtest/reports/stream.md. Nothing in it is written by hand. `--only rates|memory|latency` measures a part, to try
things.
"""

import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loadtest.bench.machine import pinned
from loadtest.bench.report import Figure, Report, Runs, table
from loadtest.bench.stream_latency import Latency, Steady, at
from loadtest.bench.stream_model import BATCH, WIDTHS, write_repository
from loadtest.bench.stream_peers import FAUST, QUIX
from loadtest.bench.stream_records import fill, values
from loadtest.bench.stream_stage import COMMIT_S, COPY, CORE, FAUST_GUARANTEE, FOREBAY, LOOP, PARTITIONS, Stage
from tests.services.kafka import Kafka
from tests.services.kafka_settings import THROUGHPUT

RECORDS = 300_000
ROUNDS = 5
PEER_ROUNDS = 3
PEER_S = 10.0
"""Peers are slow: they are watched for so long, not until the input is read."""
LONGEST_S = 60.0
WANTED = {LOOP: 0.7, COPY: 0.35, QUIX.title: 8.0, FAUST.title: 8.0}
LAGS = (500_000, 5_000_000)
MEMORY_S = 20.0
WANTED_MB = 400.0
WANTED_GROWTH = 1.1
PER_SECOND = 1_000
LATENCY_S = 11.0
LATENCY_RUNS = 3
WANTED_LATENCY_MS = COMMIT_S * 1000 + 10
PARTS = ("rates", "memory", "latency")
PACKAGES = ("confluent-kafka", "msgspec", "numpy", "onnxruntime")


def main(parts: Sequence[str]) -> int:
    report = Report("The stream lane: rate, memory, latency", "make bench-stream", PACKAGES)
    with _stage() as stage, pinned(1 - CORE):
        if "rates" in parts:
            _rates(report, stage)
        if "latency" in parts:
            _latency(report, stage)
        if "memory" in parts:
            _memory(report, stage)
    report.write("stream" if len(parts) == len(PARTS) else "stream-" + "-".join(parts))
    return 0 if all(figure.holds for figure in report.figures) else 1


@contextmanager
def _stage() -> Iterator[Stage]:
    """A broker with Java's flags for throughput, and the input filled."""
    for peer in (QUIX, FAUST):
        peer.install()
    with tempfile.TemporaryDirectory() as folder, Kafka.start(jvm=THROUGHPUT) as broker:
        model = write_repository(Path(folder) / "models")
        topic = broker.fresh_topic(PARTITIONS)
        fill(broker.bootstrap, topic, 0, RECORDS)
        yield Stage(broker, topic, Path(folder), model)


# --- rates --------------------------------------------------------------------------------------------------------------
def _rates(report: Report, stage: Stage) -> None:
    for who in (LOOP, COPY, FOREBAY):  # the broker's Java gets warm meanwhile
        stage.rate(who, RECORDS, LONGEST_S, checked=True)
    rounds = [_round(stage, number < PEER_ROUNDS, number == 0) for number in range(ROUNDS)]
    rates = {who: Runs([each[who] for each in rounds if who in each]) for who in (FOREBAY, *WANTED)}
    ratios = {who: Runs([each[FOREBAY] / each[who] for each in rounds if who in each]) for who in WANTED}
    for who, wanted in WANTED.items():
        what = f"forebay stream, exactly once, beside {_SHORT[who]}"
        report.figures.append(
            Figure(what, f"≥ {wanted:g} ×", f"{ratios[who].shown(2)} ×", ratios[who].median >= wanted)
        )
    size = statistics.mean(map(len, values()))
    report.section(
        "Records per second",
        f"{RECORDS:,} records of {size:.0f} bytes of JSON on average (16 floats), with key, timestamp and one header, on "
        f"{PARTITIONS} partitions; a perceptron {'-'.join(map(str, WIDTHS))} on ONNX Runtime; one Apache Kafka broker. One "
        f"process each, on core {CORE}; the broker may use every core. Rates are of the group's committed offsets, from its "
        f"first commit to its last, so that no start-up counts; commits every {COMMIT_S * 1000:.0f} ms. {ROUNDS} rounds, all in "
        f"turn; ratios are forebay's rate to the other's in a round. Peers in the first {PEER_ROUNDS}, for {PEER_S:g} s each. "
        "What each wrote was read back (read_committed) and compared with the model's answers once.",
        table(("", "records/s", "forebay's ratio to it, round by round"), [_line(who, rates, ratios) for who in rates]),
        f"- {LOOP}: {_TOLD[LOOP]}; batches of {BATCH}, as forebay's\n- {COPY}: {_TOLD[COPY]}\n"
        f"- {QUIX.title}: {_TOLD[QUIX.title]}; {QUIX.packages()}\n- {FAUST.title}: {_TOLD[FAUST.title]}; {FAUST.packages()}",
    )


_SHORT = {
    LOOP: "a minimal loop written by hand",
    COPY: "a loop that only copies bytes",
    QUIX.title: "Quix Streams `exactly-once`",
    FAUST.title: f"Faust `{FAUST_GUARANTEE}`",
}
_TOLD = {
    LOOP: "typed msgspec, one batch of ONNX Runtime, the same key, timestamp, headers, "
    "transactions and librdkafka options (loadtest/bench/stream_loop.py score)",
    COPY: "records as they are, in the same transactions (loadtest/bench/stream_loop.py copy)",
    QUIX.title: "`exactly-once`, the model called per record (loadtest/peers/quix)",
    FAUST.title: f"`{FAUST_GUARANTEE}`, the model called per record (loadtest/peers/faust)",
}


def _round(stage: Stage, with_peers: bool, checked: bool) -> dict[str, float]:
    rates = {who: stage.rate(who, RECORDS, LONGEST_S) for who in (LOOP, FOREBAY, COPY)}
    for peer in (QUIX, FAUST) if with_peers else ():
        rates[peer.title] = stage.rate(peer.title, RECORDS, PEER_S, checked)
    return rates


def _line(who: str, rates: dict[str, Runs], ratios: dict[str, Runs]) -> tuple[str, str, str]:
    return (who, rates[who].shown(), f"{ratios[who].shown(2)} ×" if who in ratios else "")


# --- memory -------------------------------------------------------------------------------------------------------------
def _memory(report: Report, stage: Stage) -> None:
    peaks, filled = [], RECORDS
    for lag in LAGS:
        fill(stage.broker.bootstrap, stage.input, filled, lag - filled)
        filled = lag
        peaks.append(_peak(stage))
    small, large = peaks
    figures = report.figures
    figures.append(Figure("peak memory", f"≤ {WANTED_MB:g} MB", f"{max(peaks):.0f} MB", max(peaks) <= WANTED_MB))
    figures.append(
        Figure(
            f"peak memory at {LAGS[1]:,} records of lag beside {LAGS[0]:,}", f"within {WANTED_GROWTH - 1:.0%}",
            f"{large / small:.3f} ×", large <= small * WANTED_GROWTH,
        )
    )  # fmt: skip
    report.section(
        "Memory",
        f"Most memory that the process ever held (VmHWM), {MEMORY_S:g} s after its first commit on a topic with so many records.",
        table(("records of lag", "MB"), [(f"{lag:,}", f"{peak:.1f}") for lag, peak in zip(LAGS, peaks, strict=True)]),
    )


def _peak(stage: Stage) -> float:
    """MB (10⁶ bytes)."""
    with stage.running(FOREBAY) as run, stage.watching(run) as watch:
        watch.rate(sys.maxsize, MEMORY_S, run.alive)
        status = Path(f"/proc/{run.process.pid}/status").read_text()
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kib) * 1024 / 1e6


# --- latency ------------------------------------------------------------------------------------------------------------
def _latency(report: Report, stage: Stage) -> None:
    runs = [_one_latency(stage) for _ in range(LATENCY_RUNS)]
    added = Runs([run.added for run in runs])
    what = f"added latency p50 at {PER_SECOND:,} records/s, commits every {COMMIT_S * 1000:.0f} ms"
    wanted = f"≤ {WANTED_LATENCY_MS:.0f} ms"
    report.figures.append(Figure(what, wanted, f"{added.shown(1)} ms", added.median <= WANTED_LATENCY_MS))
    seen = {"input": [run.input for run in runs], "output": [run.output for run in runs]}
    rows = [
        (name, *(Runs([at(percent, times) for times in each]).shown(1) for percent in (50, 95, 99)))
        for name, each in seen.items()
    ]
    report.section(
        "Latency",
        f"A producer stamps each record; a `read_committed` reader of both topics takes the time of its arrival. {LATENCY_RUNS} "
        f"runs of {LATENCY_S - 1:g} s, ms. Added: the output's median less the input's.",
        table(("until read from", "p50", "p95", "p99"), rows),
    )


def _one_latency(stage: Stage) -> Latency:
    topic = stage.broker.fresh_topic(PARTITIONS)
    with stage.running(FOREBAY, topic) as run:
        steady = Steady(stage.broker.bootstrap, topic, run.output, PER_SECOND)
        steady.warm_up(run.alive)
        measured = steady.measure(LATENCY_S, run.alive)
    stage.broker.drop([topic])
    return measured


if __name__ == "__main__":
    chosen = sys.argv[2:] if sys.argv[1:2] == ["--only"] else PARTS
    sys.exit(main([part for part in PARTS if part in chosen]))
