"""Options that several commands share."""

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli.errors import CommandError, Exit

if TYPE_CHECKING:  # imported where they are used, so that `forebay --help` is quick
    from forebay.settings import Settings
    from pipelines.store.sql import SqlStore

Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Models = Annotated[Path | None, typer.Option(help="Model repository.", show_default="models")]
Home = Annotated[Path | None, typer.Option(help="Folder of the embedded default's files.", show_default=".forebay")]
Tenant = Annotated[str, typer.Option(help="Whose jobs.")]
Model = Annotated[str | None, typer.Option(help="Only this model.")]
Version = Annotated[str | None, typer.Option(help="Only this version.")]
Since = Annotated[str | None, typer.Option(help="At or after: `2h` ago, or an ISO 8601 time.")]
Until = Annotated[str | None, typer.Option(help="Before: `10m` ago, or an ISO 8601 time.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]

_AGO = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def point(given: str | None, option: str) -> float | None:
    """Epoch seconds of `2h` (ago) or of an ISO 8601 time, UTC unless it says otherwise."""
    if given is None:
        return None
    ago = _AGO.fullmatch(given)
    if ago is not None:
        return time.time() - float(ago[1]) * _UNITS[ago[2]]
    try:
        parsed = datetime.fromisoformat(given)
    except ValueError:
        raise CommandError(f"{option} {given!r}: expected e.g. 2h, 3d or 2026-11-21T06:00", Exit.USAGE) from None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def settings_with(home: Path | None = None, models: Path | None = None) -> "Settings":
    from forebay.settings import load

    return load(home=home, models=models)


def existing_store(settings: "Settings") -> "SqlStore":
    """The store, which must be there already: looking creates none."""
    from forebay.wiring import store_of
    from pipelines.store.opening import parse

    url = parse(settings.store_url)
    if url.drivername == "sqlite" and not Path(str(url.database)).exists():
        raise CommandError(f"no store at {url.database}; is FOREBAY_HOME or --home the one that the server uses?")
    return store_of(settings)
