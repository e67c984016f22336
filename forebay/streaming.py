"""The stream lane, wired and served."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from msgspec import Struct, structs
from prometheus_client import CollectorRegistry

from forebay.catalogs import open_catalog
from forebay.serving import serve_metrics, settle_process
from forebay.settings import Settings
from forebay.signals import run_until_signal
from pipelines.clock import SystemClock
from pipelines.flow.in_place import Runner
from pipelines.kafka.limits import largest_records
from pipelines.kafka.options import Kafka, consumer, producer
from pipelines.kafka.presence import Presence
from pipelines.kafka.topics import Creation, ensure
from pipelines.stream.at_least_once import AtLeastOnceSink
from pipelines.stream.formats.choosing import Choice, choose
from pipelines.stream.instance import Instance
from pipelines.stream.lane import Lane, LanePlan
from pipelines.stream.observer import Several, StreamObserver
from pipelines.stream.options import LARGEST_BATCH, TRANSACTION_MS, consumer_options, producer_options
from pipelines.stream.postgres import Destination, PostgresSink
from pipelines.stream.sinks import Sink
from pipelines.stream.source import Source
from pipelines.stream.starts import Starts, StartsFile
from pipelines.stream.starts_group import SUFFIX, StartsGroup
from pipelines.stream.transactional import TransactionalSink
from pipelines.stream.writing import Target, Writer
from workers.loading import load, warm
from workers.stream_metrics import StreamMetrics

log = logging.getLogger("forebay")
CALL_PATIENCE_S = 6.0
"""Within a transaction's time-out."""


class StreamPlan(Struct, frozen=True):
    """What `forebay stream` was asked for."""

    kafka: Kafka
    model: str
    input: str
    output: str
    dead_letters: str
    group: str
    version: str | None = None
    instance: str | None = None
    commit_interval: float = 0.1
    start: str = "earliest"
    exactly_once: bool = True
    creation: Creation | None = None
    until_drained: bool = False
    formats: Choice = Choice()
    table: str | None = None
    """With it, `output` is the URL of a PostgreSQL database; dead letters and offsets go there too."""


def serve_stream(
    settings: Settings, plan: StreamPlan, ready: Callable[[str], None], observers: Sequence[StreamObserver] = ()
) -> int:
    """Until a signal, or until the input is read to its end. `observers` are told beside the metrics. Raises what start-up
    raises, one line each."""
    with ExitStack() as stack:
        registry = CollectorRegistry()
        presence = Presence(plan.input, time.monotonic, log.warning)
        lane, instance = _lane(settings, plan, stack, registry, observers, presence)
        where = f"{plan.input} → {plan.table or plan.output} as {instance} of group {plan.group}"
        if settings.metrics_port is not None:
            port = serve_metrics(settings, registry, lambda: [why for why in (presence.away, lane.trouble) if why])
            where += f"; metrics on http://{settings.host}:{port}/metrics"
        stopping: list[bool] = []

        def serve() -> int:
            settle_process()
            lane.open()
            ready(where)
            while not stopping and not (plan.until_drained and lane.drained()):
                lane.step()
            lane.finish()
            return 0

        return run_until_signal(serve, lambda: stopping.append(True))


def _lane(
    settings: Settings,
    plan: StreamPlan,
    stack: ExitStack,
    registry: CollectorRegistry,
    observers: Sequence[StreamObserver],
    presence: Presence,
) -> tuple[Lane, str]:
    version = open_catalog(settings).resolve(plan.model, plan.version)
    ensure(plan.kafka, [plan.input], plan.creation)
    topics = [] if plan.table is not None else [plan.output, plan.dead_letters]
    ensure(plan.kafka, topics, plan.creation)
    largest = largest_records(plan.kafka, topics)
    served = load(version, settings.device)
    warm(served, version)
    chosen = choose(
        structs.replace(plan.formats, bare=plan.table is not None),
        version.spec,
        served.version,
        plan.output,
        time.monotonic,
    )
    served = served.reading(chosen.inputs)
    instance = stack.enter_context(Instance.take(_folder(settings.home, plan.group), plan.instance))
    chunk = served.batching.max_batch_size
    reading = consumer_options(plan.kafka, plan.group, instance.name, plan.start)
    source = Source(consumer(reading, error_cb=presence.error), [plan.input], log.info, presence)
    stack.callback(source.close)
    target = Target(plan.output, plan.dead_letters, served.name, served.version, largest.get(plan.dead_letters))
    batch = min(largest.values(), default=LARGEST_BATCH)
    sink = _sink(plan, instance.name, source, Writer(target, time.time, chosen.format.headers), batch)
    stack.callback(sink.close)
    starts = StartsFile(instance.starts_path)
    stack.callback(starts.close)
    elsewhere = StartsGroup(
        consumer(plan.kafka.with_options({"group.id": plan.group + SUFFIX, "enable.auto.commit": False})),
        time.monotonic, log.warning,
    )  # fmt: skip
    stack.callback(elsewhere.close)
    lane_plan = LanePlan(
        served.name, served.version, chunk, plan.commit_interval, time_limit=TRANSACTION_MS / 1000,
        max_deliveries=served.limits.max_deliveries, largest_output=largest.get(plan.output),
    )  # fmt: skip
    runner = Runner(served, random.Random(), time.sleep, answer_many=served.answer_many if served.columnar else None)
    metrics = StreamMetrics(registry, served.name, served.version, time.time, log.warning)
    observer = Several([metrics, *observers]) if observers else metrics
    lane = Lane(
        source, chosen.format, runner, sink, Starts(starts, elsewhere), SystemClock(), observer, lane_plan, time.sleep
    )
    return lane, instance.name


def _sink(plan: StreamPlan, instance: str, source: Source, writer: Writer, largest_batch: int) -> Sink:
    if plan.table is not None:
        to = Destination(plan.output, plan.table, plan.group, writer.target.model, writer.target.version)
        table = PostgresSink(to)
        table.start(create=plan.creation is not None)
        return table
    if not plan.exactly_once:
        options = producer_options(plan.kafka, None, largest_batch)
        return AtLeastOnceSink(partial(producer, options), writer, source.commit, CALL_PATIENCE_S)
    options = producer_options(plan.kafka, f"{plan.group}-{instance}", largest_batch)
    sink = TransactionalSink(lambda: producer(options), writer, CALL_PATIENCE_S, log.warning)
    sink.start()
    return sink


def _folder(home: Path, group: str) -> Path:
    return home / "stream" / "".join(c if c.isalnum() or c in "._-" else "-" for c in group)
