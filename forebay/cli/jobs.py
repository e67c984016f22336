"""`forebay jobs ls | stats | pause | resume`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli import opened, options, records
from forebay.cli.errors import CommandError, Exit
from forebay.cli.output import iso, json_line, table
from schemas.jobs import DEFAULT_TENANT, JobFilter, JobView
from schemas.states import State

if TYPE_CHECKING:
    from forebay.settings import Settings
    from pipelines.store.port import Store

PAGE = 500

jobs = typer.Typer(help="List jobs, count them, pause models.", no_args_is_help=True)

ModelName = Annotated[str, typer.Argument(help="The model's name.")]


@jobs.command("ls")
def ls(
    state: Annotated[State | None, typer.Option(help="Only this state.")] = None,
    model: options.Model = None,
    version: options.Version = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: options.Limit = 50,
    all_: Annotated[bool, typer.Option("--all", help="All of them, whatever --limit says.")] = False,
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """The newest jobs first, without results."""
    wanted = JobFilter(state, model, version, since, until)
    with opened.existing_store(opened.settings_with(home)) as store:
        found = _found(store, tenant, wanted, None if all_ else limit)
        if json:
            for view in found:
                json_line(records.job(view))
            return
        table(
            ("job", "state", "model", "version", "submitted", "attempt", "error"),
            [(v.id, v.state, v.model, v.version, iso(v.timings.submitted_at), v.attempt, v.error) for v in found],
        )


@jobs.command("stats")
def stats(home: options.Home = None, json: options.Json = False) -> None:
    """Jobs by model, version and state, of all tenants."""
    with opened.existing_store(opened.settings_with(home)) as store:
        counts, paused = store.counts(), store.paused()
    counts.sort(key=lambda count: (count.model, count.version, count.state))
    if not json:
        table(
            ("model", "version", "state", "jobs", "oldest", "paused"),
            [(c.model, c.version, c.state, c.count, iso(c.oldest_at), "paused" * (c.model in paused)) for c in counts],
        )
        return
    for count in counts:
        json_line(
            {
                "model": count.model,
                "version": count.version,
                "state": count.state,
                "count": count.count,
                "oldest_at": iso(count.oldest_at),
                "paused": count.model in paused,
            }
        )


@jobs.command("pause")
def pause(model: ModelName, models: options.Models = None, home: options.Home = None) -> None:
    """Claim nothing more of this model, on any worker, until it is resumed."""
    settings = opened.settings_with(home, models)
    with opened.existing_store(settings) as store:
        _check_known(settings, store, model)
        store.pause(model, True)
    print(f"{model} is paused")


@jobs.command("resume")
def resume(model: ModelName, models: options.Models = None, home: options.Home = None) -> None:
    """Let a paused model run again."""
    settings = opened.settings_with(home, models)
    with opened.existing_store(settings) as store, opened.notices(settings, store) as notices:
        _check_known(settings, store, model)
        store.pause(model, False)
        notices.work()
    print(f"{model} is resumed")


def _found(store: "Store", tenant: str, wanted: JobFilter, most: int | None) -> Iterator[JobView]:
    cursor: str | None = None
    left = most
    while left is None or left > 0:
        page = store.list_jobs(tenant, wanted, PAGE if left is None else min(PAGE, left), cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return
        left = None if left is None else left - len(page.items)


def _check_known(settings: "Settings", store: "Store", model: str) -> None:
    """A misspelled model is not paused in silence."""
    from pipelines.catalog import Catalog

    known = set(Catalog.open(settings.models).models) | store.paused()
    if model not in known and model not in (known := known | {count.model for count in store.counts()}):
        raise CommandError(f"no model {model!r}; there are: {', '.join(sorted(known)) or 'none'}", Exit.NOT_FOUND)
