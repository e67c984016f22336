"""The path alone: a real worker's parts stepped in one thread, between a queue and a store in memory, with a null model.

All that a job costs between broker and model is in it: receive, claim, decode, validate, pack, start, judge, encode,
record, settle, credits. No clock ticks, no thread waits.
"""

import cProfile
import gc
import pstats
import random
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from pipelines.catalog import ModelVersion
from pipelines.clock import SystemClock
from pipelines.flow.observer import Unobserved
from pipelines.flow.served import Served
from pipelines.flow.worker import Outside, Plan, Worker
from pipelines.ports import Message, Tensors
from pipelines.queues.memory import MemoryQueue
from pipelines.store.memory import MemoryStore
from schemas.jobs import Submission
from schemas.model_spec import Batching, ModelSpec, TensorSpec
from schemas.states import State
from workers.hooks import Hooks
from workers.loading import LoadedModel

BATCH = 256
FEATURES = 16
STAGES = ("intake", "device", "recorder")


class NullModel:
    """Answers at once: the batch's rows of one array, as a runtime hands them out."""

    def __init__(self) -> None:
        self._answers = np.linspace(0.0, 1.0, BATCH, dtype=np.float32).reshape(BATCH, 1)

    def cost(self, inputs: Tensors) -> float:
        return 1.0

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        return [{"score": row} for row in self._answers[: len(inputs)]]


class OneModel(Struct):
    served: Served
    models: tuple[str, ...] = ("null",)

    def find(self, model: str, version: str) -> Served | None:
        return self.served if (model, version) == ("null", "1") else None


class Silent:
    def work(self) -> None: ...
    def ended(self, ids: Sequence[str]) -> None: ...
    def listen(
        self, on_work: Callable[[], None] | None = None, on_ended: Callable[[list[str]], None] | None = None
    ) -> Callable[[], None]:
        return lambda: None


class Spent(Struct):
    """Seconds of one run."""

    wall: float
    cpu: float
    stages: dict[str, float]
    """CPU seconds by stage."""


class Waterway:
    """One worker with `items` jobs waiting in its queue."""

    def __init__(self, items: int, seed: int = 7) -> None:
        self.items = items
        chance = random.Random(seed)
        self.store = MemoryStore(time.time, broker=True)
        self.queue = MemoryQueue(time.time, chance)
        submissions = [_submission(n, chance) for n in range(items)]
        self.store.submit(submissions)
        self.queue.send([Message(job.id, 0, job.inputs) for job in submissions])
        outside = Outside(
            self.store, self.queue, OneModel(_loaded()), Silent(), SystemClock(), chance, Unobserved(), self.queue
        )
        self.worker = Worker(outside, Plan(credits=4 * BATCH))

    def drain(self) -> Spent:
        """Run until everything is settled. Raises AssertionError when any job has no result."""
        worker, clock = self.worker, time.process_time
        spent = dict.fromkeys(STAGES, 0.0)
        began, cpu = time.perf_counter(), clock()
        while len(self.queue):
            a = clock()
            worker.intake.step()
            b = clock()
            while worker.device.step() is None:
                pass
            c = clock()
            while worker.recorder.step():
                pass
            d = clock()
            spent["intake"] += b - a
            spent["device"] += c - b
            spent["recorder"] += d - c
        ended = Spent(time.perf_counter() - began, clock() - cpu, spent)
        succeeded = sum(row.state is State.SUCCEEDED for row in self.store.rows.values())
        assert succeeded == self.items, f"{succeeded} of {self.items} jobs have a result"
        return ended


def measure(items: int) -> Spent:
    """One run on fresh objects, the collector set as `forebay worker` sets it: what start-up made is not walked again."""
    waterway = Waterway(items)
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        return waterway.drain()
    finally:
        gc.unfreeze()


def profile(items: int, lines: int) -> list[tuple[str, str, str]]:
    """The functions that cost most: name, calls per item, microseconds per item of its own. The profiler inflates calls."""
    waterway = Waterway(items)
    profiler = cProfile.Profile()
    profiler.runcall(waterway.drain)
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, object]] = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    dearest = sorted(stats.items(), key=lambda entry: -entry[1][2])[:lines]
    return [
        (f"`{_place(*key)}`", f"{calls / items:.2f}", f"{own / items * 1e6:.2f}")
        for key, (_, calls, own, _, _) in dearest
    ]


def _place(file: str, line: int, function: str) -> str:
    return function if file == "~" else f"{Path(file).parent.name}/{Path(file).name}:{line} {function}"


def _submission(number: int, chance: random.Random) -> Submission:
    features = [round(chance.gauss(0.0, 1.0), 6) for _ in range(FEATURES)]
    inputs = msgspec.json.encode({"features": features})
    return Submission(f"job-{number:08d}", "default", "null", "1", inputs, sha256(inputs).digest())


def _loaded() -> LoadedModel:
    spec = ModelSpec(
        name="null",
        inputs=(TensorSpec(name="features", dtype="float32", shape=(FEATURES,)),),
        outputs=(TensorSpec(name="score", dtype="float32", shape=(1,)),),
        batching=Batching(max_batch_size=BATCH),
    )
    version = ModelVersion("null", "1", Path("null/1"), spec, "onnx", {}, {})
    return LoadedModel(version, NullModel(), Hooks())
