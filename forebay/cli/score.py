"""`forebay score`."""

import gc
import importlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forebay.cli.errors import CommandError, Exit
from forebay.cli.how_far import HowFar, Show, bar
from forebay.cli.serve import Home, Models

if TYPE_CHECKING:
    from schemas.scoring import Manifest, PartDone, Plan


class Engine(StrEnum):
    LOCAL = "local"
    RAY = "ray"


score_app = typer.Typer(no_args_is_help=True)


@score_app.callback(invoke_without_command=True)
def score(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="The model to run.")] = None,
    input: Annotated[
        str | None, typer.Option(help="Parquet files: a folder, a file, or s3://bucket/prefix?endpoint=…")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="A folder, s3://bucket/prefix?endpoint=…, or postgresql://user@host/db#table")
    ] = None,
    run_id: Annotated[
        str | None, typer.Option(help="Names the run; the same goes on with it.", show_default="made of the order")
    ] = None,
    version: Annotated[str | None, typer.Option(help="Number or alias.")] = None,
    where: Annotated[str | None, typer.Option(help="Rows to score, as SQL says it: \"dt = '2026-11-20'\".")] = None,
    columns: Annotated[
        list[str] | None, typer.Option(help="Columns of an input: pixels=p0,p1 or features='f{0..15}'; repeatable.")
    ] = None,
    passthrough: Annotated[
        str | None, typer.Option(help="Columns that go to the output: id,ts.", show_default="model.yaml's")
    ] = None,
    max_rejects: Annotated[float, typer.Option(min=0, max=1, help="Share of rows that may be rejected.")] = 0.01,
    skip_corrupt: Annotated[bool, typer.Option("--skip-corrupt", help="Pass over files that cannot be read.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what another run published.")] = False,
    part_rows: Annotated[int, typer.Option(min=1, help="Rows of the input to one file of the output.")] = 1_000_000,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="Processes, each with a replica of the model.", show_default="1; with ray all CPUs, or GPUs"
        ),
    ] = None,
    engine: Annotated[Engine, typer.Option(help="This machine, or a Ray cluster.")] = Engine.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option(help="The cluster's head, host:port.", show_default="as Ray finds it")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
    models: Models = None,
    home: Home = None,
) -> None:
    """Score a Parquet data set. Killed and called again, it goes on; nothing is seen of it before it is whole."""
    if context.invoked_subcommand is not None:
        return
    if model is None or input is None or output is None:
        missing = "--model" if model is None else "--input" if input is None else "--output"
        raise CommandError(f"missing option {missing}; see forebay score --help", Exit.USAGE)
    if ray_address is not None and engine is not Engine.RAY:
        raise CommandError("--ray-address: expected --engine ray with it", Exit.USAGE)
    from forebay.settings import load

    settings, scoring = load(models=models, home=home), _scoring()
    plan = scoring.ScorePlan(
        model=model, input=input, output=output, run_id=run_id, version=version, where=where,
        columns=dict(_pair(each) for each in columns or ()),
        passthrough=None if passthrough is None else _names(passthrough), max_rejects=max_rejects,
        skip_corrupt=skip_corrupt, overwrite=overwrite, part_rows=part_rows, workers=workers,
        engine=engine.value, ray_address=ray_address,
    )  # fmt: skip
    with bar("rows") as show, redirect_stdout(sys.stderr):  # Ray prints what it has to say, and stdout is the summary's
        progress = Progress(time.monotonic, _say, show)
        manifest = _ended(lambda: scoring.score(settings, plan, progress, _say))
    _tell(manifest, progress, as_json)


@score_app.command("retry-rejects")
def retry_rejects(
    run: Annotated[str, typer.Argument(help="The run's name.")],
    output: Annotated[str, typer.Option(help="Where it is published.")],
    version: Annotated[str | None, typer.Option(help="Number or alias.", show_default="the run's")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes, each with a replica of the model.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="The summary as JSON.")] = False,
    models: Models = None,
    home: Home = None,
) -> None:
    """Score the rejects of a run again, and publish what comes of it together with the rest."""
    from forebay.settings import load

    settings, scoring = load(models=models, home=home), _scoring()
    with bar("rows") as show:
        progress = Progress(time.monotonic, _say, show)
        plan = scoring.RetryPlan(version, workers)
        manifest = _ended(lambda: scoring.retry_rejects(settings, output, run, plan, progress, _say))
    _tell(manifest, progress, as_json)


@score_app.command()
def files(
    output: Annotated[str, typer.Argument(help="A folder or s3://bucket/prefix?endpoint=…")],
    as_json: Annotated[bool, typer.Option("--json", help="With rows, size and sha256, one object a line.")] = False,
) -> None:
    """List the files that are published: whoever reads these reads one run, whole."""
    manifest, paths = _scoring().published_files(output)
    for part, path in zip(manifest.parts, paths, strict=True):
        told = {"path": path, "rows": part.rows, "size": part.size, "sha256": part.sha256}
        print(json.dumps(told) if as_json else path)


def _ended(score: Callable[[], "Manifest"]) -> "Manifest":
    """Exit code 0 says that it is published, and nothing else does."""
    try:
        return score()
    except SystemExit as end:
        raise CommandError(f"something asked the process to end (exit code {end.code}): nothing is published") from end


def _scoring() -> Any:
    """`forebay.scoring`, imported only when it is needed."""
    gc.disable()  # nothing that is imported is garbage, and looking for it is a tenth of the time
    try:
        return importlib.import_module("forebay.scoring")
    except ImportError as missing:
        raise CommandError(f"Arrow is not installed ({missing.name}): pip install 'forebay[scoring]'") from missing
    finally:
        gc.freeze()
        gc.enable()


def _tell(manifest: "Manifest", progress: "Progress", as_json: bool) -> None:
    told = {**summary(manifest), "already_published": progress.idle}
    print(json.dumps(told) if as_json else progress.line(manifest))


def summary(manifest: "Manifest") -> dict[str, object]:
    from pipelines.scoring.storage.naming import manifest_told

    order = manifest.order
    return {
        "run_id": order.run_id, "model": order.model, "version": order.version, "input": order.input,
        "output": order.output, "rows": manifest.rows, "rejected": manifest.rejected, "parts": len(manifest.parts),
        "skipped": len(manifest.skipped), "seconds": manifest.seconds, "attempts": manifest.attempts,
        "manifest": manifest_told(order.output, order.run_id),
    }  # fmt: skip


class Progress:
    """How far it got, and what was passed over."""

    def __init__(self, monotonic: Callable[[], float], say: Callable[[str], None], show: Show | None) -> None:
        self._say = say
        self._begin: Callable[[int], HowFar] = lambda before: HowFar("rows", monotonic, say, show, before)
        self._far = self._begin(0)
        self._total = self._done = self._before = 0
        self.idle = True
        """Nothing was planned: it is published already."""

    def planned(self, plan: "Plan", rows_done: int, parts_done: int) -> None:
        self.idle = False
        self._total, self._done, self._before = plan.rows, rows_done, rows_done
        self._far = self._begin(rows_done)
        if parts_done:
            self._say(f"going on: {parts_done} of {len(plan.parts)} parts are done")
        for skipped in plan.skipped:
            self._say(f"passed over {skipped.path}: {skipped.why}")

    def progress(self, rows: int, rejected: int) -> bool:
        self._done += rows
        self._far.told(self._done, self._total)
        return True

    def part(self, done: "PartDone") -> None:
        for skipped in done.skipped:
            self._say(f"passed over {skipped.path}: {skipped.why}")

    def line(self, manifest: "Manifest") -> str:
        if self.idle:
            return (
                f"published already, nothing was done: {manifest.rows:,} rows in {manifest.order.output}, "
                f"run {manifest.order.run_id}"
            )
        rate = f" ({self._far.rate(self._done):,.0f}/s)" if self._done > self._before else ""
        is_table = manifest.order.output.startswith("postgresql://")
        aside = "TABLE_rejects" if is_table else "_rejects/"
        rejects = f"{manifest.rejected:,} rejected ({aside})" if manifest.rejected else "none rejected"
        parts = "" if is_table else f"{len(manifest.parts)} files "
        return (
            f"{manifest.rows:,} rows scored{rate}, {rejects}, {parts}in {manifest.order.output}, "
            f"run {manifest.order.run_id}"
        )


def _pair(given: str) -> tuple[str, tuple[str, ...]]:
    name, equals, columns = given.partition("=")
    if not equals or not name or not _names(columns):
        raise CommandError(f"--columns {given}: expected input=column,column", Exit.USAGE)
    return name, _names(columns)


def _names(given: str) -> tuple[str, ...]:
    return tuple(filter(None, map(str.strip, given.split(","))))


def _say(line: str) -> None:
    print(f"forebay score: {line}", file=sys.stderr, flush=True)
