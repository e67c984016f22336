"""`forebay dlq`: look at dead letters, run them again, drop them."""

import getpass
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import track

from forebay.cli import options
from forebay.cli.errors import CommandError, Exit
from forebay.cli.output import as_json, iso, json_line, table
from schemas.dead_letters import DeadLetter, DeadLetterFilter, Group
from schemas.jobs import DEFAULT_TENANT
from schemas.reasons import Reason

if TYPE_CHECKING:
    from pipelines.store.port import Store

SHOWN_ERROR = 100

dlq = typer.Typer(help="Dead letters: ls, show, replay, discard.", no_args_is_help=True)

ReasonOption = Annotated[Reason | None, typer.Option(help="Only this reason.")]
ErrorOption = Annotated[str | None, typer.Option(help="Only errors with this text in them.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Jobs, by id.")]
All = Annotated[bool, typer.Option("--all", help="All dead letters of the tenant.")]


@dlq.command("ls")
def ls(
    model: options.Model = None,
    version: options.Version = None,
    reason: ReasonOption = None,
    error: ErrorOption = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: options.Limit = 50,
    group: Annotated[bool, typer.Option("--group", help="Count by model, version, reason and error.")] = False,
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """The newest failures first."""
    store = options.existing_store(options.settings_with(home))
    wanted = _filter(None, model, version, reason, error, since, until, all_=True)
    if group:
        _show_groups(store.dead_letter_groups(tenant, wanted, limit), json)
        return
    letters = store.dead_letters(tenant, wanted, limit).items
    if json:
        for letter in letters:
            json_line(_record(letter))
        return
    table(
        ("job", "model", "version", "reason", "attempts", "failed", "error"),
        [(x.id, x.model, x.version, x.reason, x.attempts, iso(x.failed_at), x.error[:SHOWN_ERROR]) for x in letters],
    )


@dlq.command("show")
def show(
    id: str, tenant: options.Tenant = DEFAULT_TENANT, home: options.Home = None, json: options.Json = False
) -> None:
    """Everything about one: its input, every attempt, every replay."""
    letter = options.existing_store(options.settings_with(home)).dead_letter(tenant, id)
    if letter is None:
        raise CommandError(f"no dead letter {id}", Exit.NOT_FOUND)
    if json:
        json_line(_whole(letter))
        return
    for name, value in _record(letter).items():
        print(f"{name}: {value}")
    print(f"inputs: {letter.inputs.decode('utf-8', 'replace')}")
    for attempt in letter.history:
        print(
            f"attempt {attempt.attempt} of generation {attempt.generation}, {iso(attempt.at)}: "
            f"{attempt.reason}: {attempt.error}"
        )
    for one in letter.replays:
        patched = "" if one.inputs_before is None else f", input before: {one.inputs_before.decode('utf-8', 'replace')}"
        print(
            f"replayed as generation {one.generation} by {one.by}, {iso(one.at)}: "
            f"version {one.version_before} → {one.version}{patched}"
        )


@dlq.command("replay")
def replay(
    ids: Ids = None,
    model: options.Model = None,
    only_version: Annotated[str | None, typer.Option("--only-version", help="Only of this version.")] = None,
    reason: ReasonOption = None,
    error: ErrorOption = None,
    since: options.Since = None,
    until: options.Until = None,
    all_: All = False,
    patch: Annotated[str | None, typer.Option(help="JSON merge patch (RFC 7396) on the input.")] = None,
    version: Annotated[str | None, typer.Option(help="Run them on this version: a number or an alias.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="At most so many a second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    by: Annotated[str | None, typer.Option(help="Who does it, for the audit.")] = None,
    tenant: options.Tenant = DEFAULT_TENANT,
    models: options.Models = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Run dead letters again: generation + 1, audited. Given twice, it applies once."""
    from forebay import wiring
    from pipelines import replaying

    wanted = _filter(ids, model, only_version, reason, error, since, until, all_)
    settings = options.settings_with(home, models)
    change = replaying.Change(_patch(patch), version, by or getpass.getuser())
    store = options.existing_store(settings)
    letters = _chosen(store, tenant, wanted)
    replays = replaying.plan(wiring.open_catalog(settings), letters, change)
    if dry_run:
        for letter in letters:
            json_line(_record(letter)) if json else print(f"{letter.id} would be replayed ({letter.reason})")
        print(f"{len(replays)} would be replayed", file=sys.stderr)
        return
    outcomes = replaying.replay(store, tenant, replays, rate, time.sleep)
    console = Console(stderr=True)
    applied = 0
    for id, done in track(outcomes, "replaying", len(replays), console=console, disable=not console.is_terminal):
        applied += done
        if json:
            json_line({"job_id": id, "replayed": done})
        elif not done:
            print(f"{id} was not replayed: it is no dead letter of that generation any more")
    wiring.notices_of(settings).work()
    print(f"{applied} of {len(replays)} replayed", file=sys.stderr if json else sys.stdout)


@dlq.command("discard")
def discard(
    ids: Ids = None,
    model: options.Model = None,
    version: options.Version = None,
    reason: ReasonOption = None,
    error: ErrorOption = None,
    since: options.Since = None,
    until: options.Until = None,
    all_: All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Drop dead letters for good; their results answer 410 from then on."""
    from pipelines import replaying

    wanted = _filter(ids, model, version, reason, error, since, until, all_)
    store = options.existing_store(options.settings_with(home))
    letters = _chosen(store, tenant, wanted)
    if letters and not yes:
        if not sys.stdin.isatty():
            raise CommandError(f"{len(letters)} dead letters would be lost for good: say so with --yes", Exit.USAGE)
        typer.confirm(f"Drop {len(letters)} dead letters for good?", abort=True)
    dropped: list[str] = []
    for start in range(0, len(letters), replaying.PAGE):
        dropped += store.discard(tenant, [letter.id for letter in letters[start : start + replaying.PAGE]])
    for id in dropped:
        if json:
            json_line({"job_id": id, "discarded": True})
    print(f"{len(dropped)} discarded", file=sys.stderr if json else sys.stdout)


def _filter(
    ids: list[str] | None,
    model: str | None,
    version: str | None,
    reason: Reason | None,
    error: str | None,
    since: str | None,
    until: str | None,
    all_: bool,
) -> DeadLetterFilter:
    """Never everything by accident."""
    after, before = options.point(since, "--since"), options.point(until, "--until")
    wanted = DeadLetterFilter(model, version, reason, error, after, before, tuple(ids or ()))
    if wanted == DeadLetterFilter() and not all_:
        raise CommandError("name jobs, give a filter such as --reason, or say --all", Exit.USAGE)
    return wanted


def _chosen(store: "Store", tenant: str, wanted: DeadLetterFilter) -> list[DeadLetter]:
    from pipelines import replaying

    letters = list(replaying.select(store, tenant, wanted))
    missing = set(wanted.ids) - {letter.id for letter in letters}
    if missing:
        raise CommandError(f"no dead letter {min(missing)}", Exit.NOT_FOUND)
    return letters


def _patch(given: str | None) -> Any:
    if given is None:
        return msgspec.UNSET
    try:
        patch = msgspec.json.decode(given)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
        raise CommandError(f"--patch is not JSON: {fault}", Exit.USAGE) from None
    if not isinstance(patch, dict):
        raise CommandError('--patch: expected a JSON object such as {"pixels": […]}', Exit.USAGE)
    return patch


def _show_groups(groups: list[Group], json: bool) -> None:
    if json:
        for x in groups:
            json_line({"model": x.model, "version": x.version, "reason": x.reason, "error": x.error, "count": x.count,
                       "first_at": iso(x.first_at), "last_at": iso(x.last_at), "example": x.example})  # fmt: skip
        return
    table(
        ("count", "model", "version", "reason", "error", "last", "example"),
        [(x.count, x.model, x.version, x.reason, x.error[:SHOWN_ERROR], iso(x.last_at), x.example) for x in groups],
    )


def _record(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id, "model": letter.model, "version": letter.version, "generation": letter.generation,
        "reason": letter.reason, "error": letter.error, "attempts": letter.attempts,
        "failed_at": iso(letter.failed_at), "submitted_at": iso(letter.submitted_at), "origin": letter.origin,
    }  # fmt: skip


def _whole(letter: DeadLetter) -> dict[str, Any]:
    return _record(letter) | {
        "inputs": as_json(letter.inputs),
        "metadata": as_json(letter.metadata),
        "history": [
            {"generation": a.generation, "attempt": a.attempt, "at": iso(a.at), "reason": a.reason, "error": a.error}
            for a in letter.history
        ],
        "replays": [
            {"generation": r.generation, "at": iso(r.at), "by": r.by, "version_before": r.version_before,
             "version": r.version, "inputs_before": as_json(r.inputs_before)}
            for r in letter.replays
        ],
    }  # fmt: skip
