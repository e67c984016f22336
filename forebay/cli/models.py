"""`forebay models ls | check | warm`."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forebay.cli import options
from forebay.cli.errors import CommandError
from forebay.cli.output import json_line, table

if TYPE_CHECKING:
    from pipelines.catalog import Catalog, ModelVersion

models_app = typer.Typer(help="The model repository: ls, check, warm.", no_args_is_help=True)


@models_app.command("ls")
def ls(models: options.Models = None, json: options.Json = False) -> None:
    """Every version, and whether it can run here."""
    from workers.loading import availability

    catalog = _catalog(models)
    records: list[dict[str, Any]] = [
        {
            "model": version.name,
            "version": version.version,
            "aliases": _aliases(version),
            "runtime": version.runtime,
            "pool": version.spec.pool,
            "available": availability(version) is None,
            "why_not": availability(version),
        }
        for version in catalog.versions()
    ]
    if json:
        for record in records:
            json_line(record)
    else:
        table(
            ("model", "version", "aliases", "runtime", "pool", "here"),
            [
                (
                    r["model"],
                    r["version"],
                    " ".join(r["aliases"]),
                    r["runtime"],
                    r["pool"],
                    r["why_not"] or "yes",
                )
                for r in records
            ],
        )
    _complain(catalog)


@models_app.command("check")
def check(models: options.Models = None) -> None:
    """Every mistake of every model.yaml, digests, and, where the runtime is installed, loading. Exit code 1 when any."""
    from workers.errors import BadArtifact, RuntimeMissing
    from workers.loading import load

    catalog = _catalog(models)
    bad = len(catalog.mistakes)
    for version in catalog.versions():
        try:
            load(version, "cpu")
        except RuntimeMissing as missing:
            print(f"{version.name} {version.version}: not checked further: {missing}")
        except BadArtifact as fault:
            bad += 1
            print(f"forebay: {fault}", file=sys.stderr)
        else:
            print(f"{version.name} {version.version}: fine")
    _complain(catalog, leave=False)
    if bad:
        raise typer.Exit(1)


@models_app.command("warm")
def warm(
    model: Annotated[str | None, typer.Argument(help="Only this model.")] = None, models: options.Models = None
) -> None:
    """Load every version and run its largest batch."""
    from workers import loading
    from workers.errors import RuntimeMissing

    catalog = _catalog(models)
    catalog.check()
    if model is not None:
        catalog.resolve(model)
    for version in catalog.versions():
        if model not in (None, version.name):
            continue
        try:
            began = time.perf_counter()
            loaded = loading.load(version)
            middle = time.perf_counter()
            loading.warm(loaded, version)
        except RuntimeMissing as missing:
            print(f"{version.name} {version.version}: {missing}")
            continue
        ran = time.perf_counter() - middle
        print(
            f"{version.name} {version.version}: loaded in {middle - began:.2f} s, largest batch in {ran * 1000:.1f} ms"
        )


def _catalog(models: Path | None) -> "Catalog":
    from pipelines.catalog import Catalog

    settings = options.settings_with(models=models)
    catalog = Catalog.open(settings.models)
    if not catalog.models and not catalog.mistakes:
        raise CommandError(f"{settings.models}: no models")
    return catalog


def _aliases(version: "ModelVersion") -> list[str]:
    return sorted(alias for alias, number in version.spec.aliases.items() if str(number) == version.version)


def _complain(catalog: "Catalog", leave: bool = True) -> None:
    for mistake in catalog.mistakes:
        print(f"forebay: {mistake}", file=sys.stderr)
    if leave and catalog.mistakes:
        raise typer.Exit(1)
