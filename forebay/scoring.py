"""The scoring lane, wired."""

import hashlib
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

import forebay
from forebay.catalogs import open_catalog
from forebay.settings import Settings
from pipelines.catalog import ModelVersion
from pipelines.scoring.again import RETRY, is_retry_of
from pipelines.scoring.apart import check_apart
from pipelines.scoring.dataset import Files
from pipelines.scoring.faults import BadInput, BadOrder, OtherRun
from pipelines.scoring.opening import open_files
from pipelines.scoring.run import Engine, Observer, Run, Work
from pipelines.scoring.storage.opening import open_storage
from pipelines.scoring.storage.port import Failpoint, Storage, nothing
from pipelines.scoring.storage.postgres.address import is_table
from schemas.scoring import Manifest, Order
from workers.artifacts import sha256
from workers.errors import RuntimeMissing
from workers.hooks import load_hooks
from workers.loading import is_columnar, load, warm
from workers.scored_model import ScoredModel
from workers.scoring_engine import InProcess, Local
from workers.scoring_processes import Processes
from workers.scoring_recipe import Recipe, elsewhere

RUN_ID_CHARS = 128

EngineName = Literal["local", "ray"]


class ScorePlan(Struct, frozen=True):
    """What `forebay score` was asked for."""

    model: str
    input: str
    output: str
    run_id: str | None = None
    version: str | None = None
    where: str | None = None
    columns: Mapping[str, Sequence[str]] = {}
    passthrough: tuple[str, ...] | None = None
    max_rejects: float = 0.01
    skip_corrupt: bool = False
    overwrite: bool = False
    part_rows: int = 1_000_000
    workers: int | None = None
    """Processes, each with a replica of the model; None: one, on a Ray cluster as many as it has CPUs (or GPUs)."""
    engine: EngineName = "local"
    ray_address: str | None = None
    """Of its head, host:port; None: as Ray finds it."""


class RetryPlan(Struct, frozen=True):
    """What `forebay score retry-rejects` was asked for."""

    version: str | None = None
    """Another than the run's: the one that was mended."""
    workers: int = 1


def score(
    settings: Settings, plan: ScorePlan, observer: Observer, tell: Callable[[str], None], failpoint: Failpoint = nothing
) -> Manifest:
    """Raises ScoreFault, and what start-up raises, one line each."""
    check_apart(plan.input, plan.output)
    version = open_catalog(settings).resolve(plan.model, plan.version)
    with closing(open_files(plan.input)) as files, closing(open_storage(plan.output, failpoint)) as storage:
        order = order_of(plan, version, files.name, storage.name)
        return _run(settings, plan, version, order, files, storage, tell, failpoint).run(observer, plan.overwrite)


def _run(
    settings: Settings, plan: ScorePlan, version: ModelVersion, order: Order, files: Files, storage: Storage,
    tell: Callable[[str], None], failpoint: Failpoint = nothing,
) -> Run:  # fmt: skip
    return Run(
        order=order, spec=version.spec, each=not is_columnar(version.spec, load_hooks(version.hooks)), files=files,
        storage=storage, engine=_engine(settings, plan, version, tell),
        holder=f"{socket.gethostname()}, process {os.getpid()}", forebay=forebay.version(), now=lambda: datetime.now(UTC),
        tell=tell, failpoint=failpoint, named=plan.run_id is not None,
    )  # fmt: skip


def retry_rejects(
    settings: Settings, output: str, run_id: str, plan: RetryPlan, observer: Observer, tell: Callable[[str], None]
) -> Manifest:
    """Scores the rejects of a published run again, and publishes what comes of it together with what was there. Raises
    ScoreFault."""
    _refuse_table(
        output, "the rejects of a table are rows beside it (TABLE_rejects), and no files that could be scored again: score the"
        " files that they came from (_forebay_path) once more with --where, into the same table with ?mode=upsert&key=…",
    )  # fmt: skip
    with closing(open_storage(output)) as storage:
        before = _published(storage, run_id)
        if not before.rejects:
            return before
        version = open_catalog(settings).resolve(before.order.model, plan.version or before.order.version)
        with closing(open_files(_below(output, "_rejects"))) as files:
            order = replace(
                before.order, run_id=_next(before.order.run_id), version=version.version, digest=digest_of(version),
                input=files.name, where=None, max_rejects=1.0,
            )  # fmt: skip
            wanted = ScorePlan(order.model, _below(output, "_rejects"), output, order.run_id, workers=plan.workers)
            run = replace(_run(settings, wanted, version, order, files, storage, tell), onto=before)
            return run.run(observer, overwrite=True)


def _published(storage: Storage, run_id: str) -> Manifest:
    """Of this run, or of a retry of it. Raises OtherRun."""
    before = storage.current()
    if before is None or not _is_of(before.order.run_id, run_id):
        there = "nothing" if before is None else f"run {before.order.run_id}"
        raise OtherRun(f"{storage.name}: expected run {run_id} to be published there, found {there}")
    return before


def published_files(output: str) -> tuple[Manifest, list[str]]:
    """What is published, and where each of its files is. Raises ScoreFault."""
    _refuse_table(
        output, "a table holds rows and no files: SELECT from it; what was published, with its manifest, is in"
        " _forebay_scoring, in the same schema",
    )  # fmt: skip
    with closing(open_storage(output)) as storage:
        manifest = storage.current()
    if manifest is None:
        raise BadInput(f"{output}: nothing is published there")
    return manifest, [_below(output, part.path) for part in manifest.parts]


def _refuse_table(output: str, why: str) -> None:
    """Raises BadOrder."""
    if is_table(output):
        raise BadOrder(f"output postgresql://…: {why}")


def _below(output: str, path: str) -> str:
    address, query, options = output.partition("?") if "://" in output else (output, "", "")
    return f"{address.rstrip('/')}/{path}{query}{options}"


def _is_of(run_id: str, asked: str) -> bool:
    return run_id == asked or is_retry_of(run_id, asked)


def _next(run_id: str) -> str:
    """The name of the retry after this run, or after this retry."""
    name, _, number = run_id.rpartition(RETRY)
    return f"{name}{RETRY}{int(number) + 1}" if name and number.isdigit() else f"{run_id}{RETRY}1"


def _engine(settings: Settings, plan: ScorePlan, version: ModelVersion, tell: Callable[[str], None]) -> Engine:
    def recipe(work: Work) -> Recipe:
        return Recipe(version, settings.device, work.plan, plan.input, plan.output)

    if plan.engine == "ray":
        return _ray(settings, plan, recipe)
    if plan.workers is not None and plan.workers > 1:
        return Processes(plan.workers, recipe)
    loaded = load(version, settings.device)
    warm(loaded, version)
    return Local(InProcess(ScoredModel(loaded)), lambda: Processes(1, recipe), tell)


def _ray(settings: Settings, plan: ScorePlan, recipe: Callable[[Work], Recipe]) -> Engine:
    """Raises RuntimeMissing."""
    try:
        from workers.scoring_ray import RayData
    except ImportError as missing:
        raise RuntimeMissing(f"Ray is not installed ({missing.name}): pip install 'forebay[ray]'") from missing
    return RayData(plan.ray_address, plan.workers, lambda work: elsewhere(recipe(work)))


def order_of(plan: ScorePlan, version: ModelVersion, input: str, output: str) -> Order:
    columns = {name: list(names) for name, names in plan.columns.items()}
    passthrough = version.spec.passthrough if plan.passthrough is None else plan.passthrough
    made = Order(
        run_id="", model=version.name, version=version.version, digest=digest_of(version), input=input, output=output,
        where=plan.where, columns=columns, passthrough=passthrough, skip_corrupt=plan.skip_corrupt,
        part_rows=plan.part_rows, max_rejects=plan.max_rejects,
    )  # fmt: skip
    return replace(made, run_id=plan.run_id or _run_id(made))


def digest_of(version: ModelVersion) -> str:
    """Of model.yaml's meaning, the hooks and every file of the version."""
    digest = hashlib.sha256(version.spec.model_dump_json().encode())
    own = [path for path in sorted(version.folder.rglob("*")) if path.is_file()]
    for path in [*own, *([version.hooks] if version.hooks is not None else [])]:
        digest.update(path.name.encode())
        digest.update(bytes.fromhex(sha256(path)))
    return digest.hexdigest()


def _run_id(order: Order) -> str:
    """The same for the same order: called again, it goes on."""
    told: Any = msgspec.json.encode(order, order="deterministic")
    return "run-" + hashlib.sha256(told).hexdigest()[:16]
