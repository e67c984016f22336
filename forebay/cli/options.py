"""Options that several commands share, and what their text means."""

import math
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from forebay import durations
from schemas.reasons import Reason

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_AGO = re.compile(r"\d[\d. ]*(ms|s|m|h|d)")
_LATEST = 253_402_300_799.0
"""The end of the year 9999: beyond it there is no date to print."""


def duration(given: str) -> float:
    """Seconds of `90`, `90s`, `15m`, `24h` or `7d`."""
    try:
        seconds = durations.seconds_of(given)
    except ValueError:
        seconds = math.inf
    if not math.isfinite(seconds):
        raise typer.BadParameter(f"{given!r}: {durations.EXPECTED}")
    return seconds


def positive_duration(given: str) -> float:
    seconds = duration(given)
    if seconds <= 0:
        raise typer.BadParameter(f"{given!r}: expected more than 0")
    return seconds


def point(given: str, now: Callable[[], float] = time.time) -> float:
    """Epoch seconds of `2h` (ago) or of an ISO 8601 time, UTC unless it says otherwise."""
    if _AGO.fullmatch(given.strip()):
        return now() - duration(given)
    try:
        parsed = datetime.fromisoformat(given.strip())
        at = (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{given!r}: expected 2h, 3d (ago) or a time such as 2026-11-21T06:00") from None
    return min(at, _LATEST)


def tenant(given: str) -> str:
    if not _TENANT.fullmatch(given):
        raise typer.BadParameter(f"{given!r}: expected letters, digits, '-', '_' or '.', at most 63")
    return given


def rate(given: str) -> float:
    try:
        wanted = float(given)
    except ValueError:
        wanted = math.nan
    if not 0 < wanted < math.inf:
        raise typer.BadParameter(f"{given!r}: expected a number above 0, such as 50 or 0.5")
    return wanted


Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Models = Annotated[Path | None, typer.Option(help="Model repository.", show_default="models")]
Home = Annotated[Path | None, typer.Option(help="Folder of the embedded default's files.", show_default=".forebay")]
Tenant = Annotated[str, typer.Option(parser=tenant, metavar="NAME", help="Whose jobs.")]
Model = Annotated[str | None, typer.Option(help="Only this model.")]
Version = Annotated[str | None, typer.Option(help="Only this version, by number.")]
OnlyVersion = Annotated[str | None, typer.Option("--only-version", help="Only those of this version, by number.")]
OfReason = Annotated[Reason | None, typer.Option(help="Only this reason.")]
Error = Annotated[str | None, typer.Option(help="Only errors with this text in them.")]
Since = Annotated[float | None, typer.Option(parser=point, metavar="TIME", help="At or after: 2h (ago), or ISO 8601.")]
Until = Annotated[float | None, typer.Option(parser=point, metavar="TIME", help="Before: 10m (ago), or ISO 8601.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="At most so many.")]
Wait = Annotated[float | None, typer.Option(parser=duration, metavar="DURATION", help="How long to wait for the end.")]
DeadTopic = Annotated[
    str | None, typer.Option("--topic", metavar="TOPIC", help="Dead letters of a stream, on this topic.")
]
Bootstrap = Annotated[
    str | None, typer.Option(help="Brokers of --topic.", show_default="FOREBAY_KAFKA_BOOTSTRAP_SERVERS")
]
