"""The demo: starts Forebay, sends 1,000 real inputs from several clients, shows what came of them, repairs one dead letter.

    make demo

Everything it shows was measured in this run. Exit code 0 only when every input has its one answer.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from forebay_client import AsyncClient, Client, Result

ROOT = Path(__file__).resolve().parent.parent
JOBS = 1000
CLIENTS = 8
IN_FLIGHT = 8
"""Jobs that each client has open at once."""
FOREBAY = [sys.executable, "-P", "-m", "forebay.cli.app"]

console = Console(width=110, highlight=False)


@dataclass(frozen=True)
class Sent:
    inputs: dict[str, Any]
    label: int | None
    """The truth; None for a poison input."""


@dataclass(frozen=True)
class Answered:
    sent: Sent
    result: Result
    seconds: float
    """From submit to result, as the client saw it."""


@dataclass(frozen=True)
class Server:
    url: str
    metrics: str
    environment: dict[str, str]


def main() -> int:
    console.rule("[bold]Forebay demo")
    with tempfile.TemporaryDirectory(prefix="forebay-demo-") as home, serving(Path(home)) as server:
        sent = inputs()
        began = time.perf_counter()
        answers = asyncio.run(send_all(server.url, sent))
        elapsed = time.perf_counter() - began
        show_answers(answers)
        accuracy = show_figures(answers, elapsed, batch_sizes(server.metrics))
        letters = show_dead_letters(server)
        repaired = repair(server, letters[0])
    good = sum(answer.result.ok for answer in answers)
    fine = good == JOBS - 3 and len(letters) == 3 and repaired and accuracy > 0.9
    console.rule(f"[bold]{'everything was answered once' if fine else 'SOMETHING IS WRONG'}")
    return 0 if fine else 1


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Server]:
    """`forebay up` on a free port, stopped as Ctrl-C stops it."""
    environment = os.environ | {"FOREBAY_HOME": str(home), "FOREBAY_MODELS": str(ROOT / "models")}
    began = time.perf_counter()
    command = [*FOREBAY, "up", "--port", "0", "--metrics-port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        said = "".join(line for _, line in zip(range(2), process.stdout or [], strict=False))
        found = re.findall(r"http://[0-9.]+:\d+(?:/metrics)?", said)
        if not found:
            raise SystemExit(f"forebay up did not start (exit code {process.wait()}); its message stands above")
        console.print(f"started API, worker and embedded store in {time.perf_counter() - began:.1f} s: {found[0]}")
        yield Server(found[0], next(url for url in found if url.endswith("/metrics")), environment)
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        console.print(f"stopped (exit code {code})")


def inputs() -> list[Sent]:
    """Held-out rows of the data set, over again until there are enough, and three that only the model can refuse."""
    rows = [json.loads(line) for line in (ROOT / "models/digits/heldout.jsonl").read_text().splitlines()]
    sent = [Sent(rows[n % len(rows)]["inputs"], rows[n % len(rows)]["label"]) for n in range(JOBS)]
    picture = rows[0]["inputs"]["pixels"]
    for place, pixels in ((250, [-1, *picture[1:]]), (500, [*picture[:-1], 255]), (750, [0] * 64)):
        sent[place] = Sent({"pixels": pixels}, None)
    return sent


async def send_all(url: str, sent: list[Sent]) -> list[Answered]:
    console.print(f"sending {JOBS} inputs from {CLIENTS} clients, {IN_FLIGHT} jobs in flight each …")
    shares = [sent[n::CLIENTS] for n in range(CLIENTS)]
    return [answer for share in await asyncio.gather(*(one_client(url, share) for share in shares)) for answer in share]


async def one_client(url: str, share: list[Sent]) -> list[Answered]:
    async with AsyncClient(url) as client:
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def send(item: Sent) -> Answered:
            async with gate:
                began = time.perf_counter()
                job = await client.submit("digits", item.inputs)
                result = await client.wait(job, timeout=60)
                return Answered(item, result, time.perf_counter() - began)

        return await asyncio.gather(*(send(item) for item in share))


def show_answers(answers: list[Answered]) -> None:
    table = Table(title="answers beside the truth (first ten)")
    for column in ("job", "answer", "truth", "probability", "right"):
        table.add_column(column)
    for answer in [a for a in answers if a.result.ok][:10]:
        digit, probability = answer_of(answer.result)
        right = "✓" if digit == answer.sent.label else "✗"
        table.add_row(answer.result.job_id, str(digit), str(answer.sent.label), f"{probability:.3f}", right)
    console.print(table)


def answer_of(result: Result) -> tuple[int, float]:
    probabilities = result.value["probabilities"]
    digit = max(range(10), key=probabilities.__getitem__)
    return digit, probabilities[digit]


def show_figures(answers: list[Answered], elapsed: float, sizes: dict[str, int]) -> float:
    done = [answer for answer in answers if answer.result.ok]
    right = sum(answer_of(answer.result)[0] == answer.sent.label for answer in done)
    seconds = sorted(answer.seconds for answer in answers)
    states = Counter(str(answer.result.status) for answer in answers)
    table = Table(title="this run", show_header=False)
    table.add_row("jobs", f"{len(answers)}: " + ", ".join(f"{count} {state}" for state, count in states.items()))
    table.add_row("accuracy", f"{right / len(done):.4f} ({right} of {len(done)} right)")
    table.add_row("throughput", f"{len(answers) / elapsed:.0f} jobs per second, submit to result over HTTP")
    p99 = seconds[int(len(seconds) * 0.99)]
    table.add_row("latency", f"p50 {statistics.median(seconds) * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms")
    table.add_row(
        "batch sizes", ", ".join(f"{size}: {count}" for size, count in sizes.items()) + "  (up to size: batches)"
    )
    console.print(table)
    return right / len(done)


def batch_sizes(url: str) -> dict[str, int]:
    """How many batches there were up to each size, from the worker's own metrics."""
    with urllib.request.urlopen(url, timeout=5) as response:  # our own loopback address
        text = response.read().decode()
    found = re.findall(r'forebay_batch_size_bucket\{le="([0-9.+Inf]+)",model="digits"[^}]*\} ([0-9.]+)', text)
    sizes: dict[str, int] = {}
    below = 0
    for bound, count in found:
        if int(float(count)) > below and bound != "+Inf":
            sizes[f"≤ {float(bound):.0f}"] = int(float(count)) - below
        below = int(float(count))
    return sizes


def show_dead_letters(server: Server) -> list[dict[str, Any]]:
    letters = [json.loads(line) for line in forebay(server, "dlq", "ls", "--json").splitlines()]
    table = Table(title="dead letters (forebay dlq ls)")
    for column in ("job", "reason", "error"):
        table.add_column(column)
    for letter in letters:
        table.add_row(letter["job_id"], letter["reason"], letter["error"])
    console.print(table)
    return sorted(letters, key=lambda letter: letter["error"], reverse=True)


def repair(server: Server, letter: dict[str, Any]) -> bool:
    """Patch the input of one dead letter, replay it and show its result."""
    picture = inputs()[0]
    patch = json.dumps(picture.inputs)
    console.print(f"[bold]$ forebay dlq replay {letter['job_id']} --patch '{{\"pixels\": […]}}'")
    console.print(forebay(server, "dlq", "replay", letter["job_id"], "--patch", patch).strip())
    with Client(server.url) as client:
        result = client.wait(letter["job_id"], timeout=30)
    if not result.ok:
        console.print(f"still {result.status}: {result.error}")
        return False
    digit, probability = answer_of(result)
    console.print(
        f"generation {result.generation}: {result.status}, answer {digit} (truth {picture.label}), "
        f"probability {probability:.3f}"
    )
    return digit == picture.label


def forebay(server: Server, *arguments: str) -> str:
    done = subprocess.run([*FOREBAY, *arguments], env=server.environment, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise SystemExit(f"forebay {' '.join(arguments[:2])} failed with {done.returncode}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
