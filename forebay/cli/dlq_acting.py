"""`forebay dlq replay | discard`."""

import sys
import time
from collections.abc import Iterable
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli import dlq_choosing, dlq_topic, dlq_topic_acting, opened, options, records
from forebay.cli.errors import CommandError, Exit
from forebay.cli.output import json_line, progress, say, summary
from schemas.jobs import DEFAULT_TENANT

if TYPE_CHECKING:
    from forebay.cli.dlq_choosing import Chosen
    from forebay.settings import Settings
    from pipelines.replaying import Outcome
    from pipelines.store.notices import Notices
    from pipelines.store.port import Store
    from pipelines.store.sql import SqlStore
    from schemas.dead_letters import DeadLetter, Replay

Ids = Annotated[list[str] | None, typer.Argument(help="Jobs, by id; of a topic, partition:offset.")]
All = Annotated[bool, typer.Option("--all", help="All dead letters of the tenant, or of the topic.")]
Most = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")]


def replay(
    ids: Ids = None,
    model: options.Model = None,
    only_version: options.OnlyVersion = None,
    reason: options.OfReason = None,
    error: options.Error = None,
    since: options.Since = None,
    until: options.Until = None,
    all_: All = False,
    patch: Annotated[str | None, typer.Option(help="JSON merge patch (RFC 7396) on the input; @FILE reads it.")] = None,
    version: Annotated[str | None, typer.Option(help="Run them on this version: a number or an alias.")] = None,
    to_model: Annotated[
        str | None, typer.Option(help="Run them on this model, on its default version unless --version says otherwise.")
    ] = None,
    rate: Annotated[float | None, typer.Option(parser=options.rate, help="At most so many a second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and check it.")] = False,
    by: Annotated[str | None, typer.Option(help="Who does it, for the audit. Default: the user.")] = None,
    topic: options.DeadTopic = None,
    bootstrap: options.Bootstrap = None,
    limit: Most = None,
    tenant: options.Tenant = DEFAULT_TENANT,
    models: options.Models = None,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Run dead letters again: generation + 1, audited. Given twice, or again after it was stopped, it applies once."""
    from forebay import catalogs
    from pipelines import replaying

    chosen = dlq_choosing.choose(tenant, ids, all_, model, only_version, reason, error, since, until)
    if topic is not None:
        dlq_topic.only_in_store(
            {"--patch": patch is not None, "--version": version is not None, "--by": by is not None,
             "--to-model": to_model is not None,
             "--tenant": tenant != DEFAULT_TENANT, "--models": models is not None}
        )  # fmt: skip
        asked = dlq_topic_acting.Asked(opened.settings_with(home), bootstrap, topic, chosen.wanted, limit, json)
        raise typer.Exit(dlq_topic_acting.replay(asked, rate, dry_run))
    change = replaying.Change(dlq_choosing.patch(patch), version, by or dlq_choosing.user(), to_model)
    settings = opened.settings_with(home, models)
    with opened.existing_store(settings) as store, opened.notices(settings, store) as notices:
        look = cache(lambda: opened.looking(settings, store))
        planner = replaying.Planner(
            lambda: catalogs.open_catalog(settings),
            change,
            lambda letter: letter if letter.inputs_ref is None else look().letter(letter),
        )
        found = islice(replaying.select(store, tenant, chosen.wanted), limit)
        if dry_run:
            planned = [_would(letter, planner.plan(letter), json) for letter in found]
            summary(f"{len(planned)} would be replayed", json)
        else:
            planned = [planner.plan(letter) for letter in found]
            _Replaying(store, notices, chosen, json).run(_placed(settings, store, tenant, planned), rate)
        unknown = _print_missing(store, chosen, [one.id for one in planned], json)
    raise typer.Exit(Exit.NOT_FOUND if unknown else Exit.OK)


def discard(
    ids: Ids = None,
    model: options.Model = None,
    version: options.Version = None,
    reason: options.OfReason = None,
    error: options.Error = None,
    since: options.Since = None,
    until: options.Until = None,
    all_: All = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    topic: options.DeadTopic = None,
    bootstrap: options.Bootstrap = None,
    limit: Most = None,
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Drop dead letters for good; their results answer 410 from then on."""
    from pipelines import replaying

    chosen = dlq_choosing.choose(tenant, ids, all_, model, version, reason, error, since, until)
    if topic is not None:
        dlq_topic.only_in_store({"--tenant": tenant != DEFAULT_TENANT})
        asked = dlq_topic_acting.Asked(opened.settings_with(home), bootstrap, topic, chosen.wanted, limit, json)
        raise typer.Exit(dlq_topic_acting.discard(asked, None if yes else _confirm))
    settings = opened.settings_with(home)
    with opened.existing_store(settings) as store:
        found = [letter.id for letter in islice(replaying.select(store, tenant, chosen.wanted), limit)]
        if found and not yes:
            _confirm(len(found))
        _discard(settings, store, tenant, found, json)
        unknown = _print_missing(store, chosen, found, json)
    raise typer.Exit(Exit.NOT_FOUND if unknown else Exit.OK)


class _Replaying:
    def __init__(self, store: "Store", notices: "Notices", chosen: "Chosen", json: bool) -> None:
        self._store = store
        self._notices = notices
        self._chosen = chosen
        self._json = json
        self._applied = 0

    def run(self, planned: "list[Replay]", rate: float | None) -> None:
        from pipelines import replaying
        from pipelines.clock import SystemClock

        chunks = replaying.replay(self._store, self._chosen.tenant, planned, rate, SystemClock(), time.sleep)
        try:
            with progress("replaying", len(planned)) as advance:
                for chunk in chunks:
                    self._notices.work()
                    self._print(chunk)
                    advance(len(chunk))
        finally:  # also when it was interrupted: so many are done
            summary(f"{self._applied} of {len(planned)} replayed", self._json)

    def _print(self, chunk: "list[Outcome]") -> None:
        self._applied += sum(outcome.applied for outcome in chunk)
        for outcome in chunk:
            if self._json:
                json_line({"job_id": outcome.id, "replayed": outcome.applied})
            elif outcome.applied:
                print(f"{outcome.id} replayed")
            else:
                say(f"{outcome.id} was not replayed: it is no dead letter of that generation any more")


def _placed(settings: "Settings", store: "SqlStore", tenant: str, planned: "list[Replay]") -> "list[Replay]":
    """With the patched inputs put that are too large for their rows."""
    if all(one.inputs is None or len(one.inputs) <= settings.inline_bytes for one in planned):
        return planned
    deposits = opened.deposits(settings, store)
    return planned if deposits is None else [deposits.of_replay(tenant, one) for one in planned]


def _remove(settings: "Settings", store: "SqlStore", refs: list[str]) -> None:
    """What the rows are gone of. It is an orphan when this fails, and removed within a day by whoever serves."""
    from pipelines.payloads.port import PayloadsAway

    payloads = opened.looking(settings, store).payloads if refs else None
    try:
        if payloads is not None:
            payloads.remove(refs)
    except PayloadsAway as away:
        say(f"payloads not removed, will be within a day: {away}")


def _would(letter: "DeadLetter", planned: "Replay", json: bool) -> "Replay":
    if json:
        json_line(records.dead_letter(letter))
    else:
        model = "" if planned.model is None else f" on model {planned.model}"
        version = "" if planned.version is None else f" on version {planned.version}"
        print(f"{letter.id} would be replayed{model}{version} ({letter.reason})")
    return planned


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        raise CommandError(f"{count} dead letters would be lost for good: say so with --yes", Exit.USAGE)
    typer.confirm(f"Drop {count} dead letters for good?", abort=True, err=True)


def _discard(settings: "Settings", store: "SqlStore", tenant: str, found: list[str], json: bool) -> None:
    from pipelines import replaying

    dropped = 0
    with progress("discarding", len(found)) as advance:
        for start in range(0, len(found), replaying.PAGE):
            chunk = found[start : start + replaying.PAGE]
            discarded = store.discard(tenant, chunk)
            _remove(settings, store, discarded.refs)
            for id in discarded.ids:
                dropped += 1
                json_line({"job_id": id, "discarded": True}) if json else print(f"{id} discarded")
            advance(len(chunk))
    summary(f"{dropped} of {len(found)} discarded", json)


def _print_missing(store: "Store", chosen: "Chosen", found: Iterable[str], json: bool) -> bool:
    """Say of each id that was named and is no dead letter what it is instead. Whether any is unknown or purged."""
    missing = list(dict.fromkeys(id for id in chosen.wanted.ids if id not in set(found)))
    unknown = False
    for id, what in dlq_choosing.instead(store, chosen.tenant, missing):
        unknown |= what.unknown
        say(f"{id}: {what.text}")
        if json:
            json_line({"job_id": id, "error": what.text})
    return unknown
