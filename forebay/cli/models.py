"""`forebay models ls | check | warm`."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forebay.cli import opened, options
from forebay.cli.errors import Exit
from forebay.cli.output import json_line, say, table

if TYPE_CHECKING:
    from pipelines.catalog import Catalog, ModelVersion

models_app = typer.Typer(help="The model repository: ls, check, warm.", no_args_is_help=True)

Device = Annotated[str | None, typer.Option(help="auto, cpu or cuda[:n].", show_default="auto")]


@models_app.command("ls")
def ls(models: options.Models = None, json: options.Json = False) -> None:
    """Every version, and whether it can run here. Exit code 1 when a model has a mistake: see `models check`."""
    catalog = _catalog(models)
    records = [_record(version) for version in catalog.versions()]
    if json:
        for record in records:
            json_line(record)
    else:
        table(
            ("model", "version", "aliases", "runtime", "pool", "here"),
            [
                (r["model"], r["version"], " ".join(r["aliases"]), r["runtime"], r["pool"], r["why_not"] or "yes")
                for r in records
            ],
        )
    _leave(_tell(catalog))


@models_app.command("check")
def check(models: options.Models = None, json: options.Json = False) -> None:
    """Every mistake of every model.yaml, every digest and, where the runtime is installed, loading. Exit code 1 when
    anything is wrong."""
    catalog = _catalog(models)
    bad = _tell(catalog)
    for version in catalog.versions():
        fault, note = _checked(version)
        if json:
            json_line(
                {"model": version.name, "version": version.version, "ok": fault is None, "fault": fault, "note": note}
            )
        elif fault is None:
            print(f"{version.name} {version.version}: ok" + (f", but not loaded: {note}" if note else ""))
        if fault is not None:
            bad += 1
            say(fault)
    _leave(bad)


@models_app.command("warm")
def warm(
    model: Annotated[str | None, typer.Argument(help="Only this model.")] = None,
    device: Device = None,
    models: options.Models = None,
    json: options.Json = False,
) -> None:
    """Load every version and run its largest batch. Exit code 1 when one fails, or none can run here."""
    from workers.errors import BadArtifact, RuntimeMissing

    settings = opened.settings_with(models=models)
    catalog = _catalog(models)
    catalog.check()
    bad = ran = 0
    for version in _chosen(catalog, model):
        try:
            _warm(version, device or settings.device, json)
            ran += 1
        except RuntimeMissing as missing:
            say(str(missing))
        except BadArtifact as fault:
            bad += 1
            say(str(fault))
    _leave(bad or not ran)


def _warm(version: "ModelVersion", device: str, json: bool) -> None:
    from workers import loading

    began = time.perf_counter()
    loaded = loading.load(version, device)
    there = time.perf_counter()
    loading.warm(loaded, version)
    load_s, batch_s = there - began, time.perf_counter() - there
    if json:
        json_line({"model": version.name, "version": version.version, "load_s": load_s, "batch_s": batch_s})
    else:
        print(f"{version.name} {version.version}: loaded in {load_s:.2f} s, largest batch in {batch_s * 1000:.1f} ms")


def _checked(version: "ModelVersion") -> tuple[str | None, str | None]:
    """What is wrong, and why it was not loaded."""
    from workers.artifacts import check_digests
    from workers.errors import BadArtifact, RuntimeMissing
    from workers.loading import availability, load

    try:
        check_digests(version.folder, version.sha256)
        load(version, "cpu")
    except RuntimeMissing as missing:
        return None, availability(version) or str(missing)
    except BadArtifact as fault:
        return str(fault), None
    return None, None


def _chosen(catalog: "Catalog", model: str | None) -> Iterator["ModelVersion"]:
    """Raises UnknownModel."""
    if model is not None:
        catalog.resolve(model)
    return (version for version in catalog.versions() if model in (None, version.name))


def _catalog(models: Path | None) -> "Catalog":
    from pipelines.catalog import Catalog

    return Catalog.open(opened.settings_with(models=models).models)


def _record(version: "ModelVersion") -> dict[str, Any]:
    from workers.loading import availability

    why_not = availability(version)
    return {
        "model": version.name,
        "version": version.version,
        "aliases": sorted(alias for alias, number in version.spec.aliases.items() if str(number) == version.version),
        "runtime": version.runtime,
        "pool": version.spec.pool,
        "available": why_not is None,
        "why_not": why_not,
    }


def _tell(catalog: "Catalog") -> int:
    for mistake in catalog.mistakes:
        say(str(mistake))
    return len(catalog.mistakes)


def _leave(bad: int) -> None:
    if bad:
        raise typer.Exit(Exit.FAILED)
