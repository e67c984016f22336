"""`forebay dlq`: look at dead letters; acting on them is in dlq_acting.py."""

from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from forebay.cli import dlq_acting, dlq_topic, opened, options, records
from forebay.cli.errors import CommandError, Exit
from forebay.cli.output import iso, json_line, line_of, say, table
from schemas.dead_letters import DeadLetter, DeadLetterFilter, Group
from schemas.jobs import DEFAULT_TENANT
from schemas.strays import Stray

if TYPE_CHECKING:
    from forebay.settings import Settings
    from pipelines.store.sql import SqlStore

SHOWN_ERROR = 100
MOST_COUNTED = 10_000
"""Strays."""

dlq = typer.Typer(help="Dead letters: ls, show, replay, discard.", no_args_is_help=True)
dlq.command("replay")(dlq_acting.replay)
dlq.command("discard")(dlq_acting.discard)


@dlq.command("ls")
def ls(
    model: options.Model = None,
    version: options.Version = None,
    reason: options.OfReason = None,
    error: options.Error = None,
    since: options.Since = None,
    until: options.Until = None,
    limit: options.Limit = 50,
    strays: Annotated[
        bool, typer.Option("--strays", help="What came on the queue and names no job, kept as it came.")
    ] = False,
    group: Annotated[bool, typer.Option("--group", help="Count by model, version, reason and error.")] = False,
    topic: options.DeadTopic = None,
    bootstrap: options.Bootstrap = None,
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """The newest failures first; of a topic, the oldest first."""
    from pipelines import replaying

    wanted = DeadLetterFilter(model, version, reason, error, since, until)
    if topic is not None:
        dlq_topic.only_in_store({"--strays": strays, "--tenant": tenant != DEFAULT_TENANT})
        listed = dlq_topic.groups if group else dlq_topic.ls
        listed(opened.settings_with(home), bootstrap, topic, wanted, limit, json)
        return
    with opened.existing_store(opened.settings_with(home)) as store:
        if strays:
            _print_strays(store.strays(limit), json)
        elif group:
            _print_groups(store.dead_letter_groups(tenant, wanted, limit), json)
        else:
            _print_letters(islice(replaying.select(store, tenant, wanted), limit), json)
            if not json:
                _hint_at_strays(store.count_strays(MOST_COUNTED))


@dlq.command("show")
def show(
    id: Annotated[str, typer.Argument(help="The job; of a topic, partition:offset.")],
    topic: options.DeadTopic = None,
    bootstrap: options.Bootstrap = None,
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Everything about one: its input, every attempt, every replay."""
    if topic is not None:
        dlq_topic.only_in_store({"--tenant": tenant != DEFAULT_TENANT})
        dlq_topic.show(opened.settings_with(home), bootstrap, topic, id, json)
        return
    settings = opened.settings_with(home)
    with opened.existing_store(settings) as store:
        letter = store.dead_letter(tenant, id)
        if letter is None:
            from forebay.cli import dlq_choosing

            ((_, what),) = dlq_choosing.instead(store, tenant, [id])
            raise CommandError(f"{id}: {what.text}", Exit.NOT_FOUND)
        letter = _with_input(settings, store, letter)
    if json:
        json_line(records.whole_dead_letter(letter))
    else:
        _print_whole(letter)


def _with_input(settings: "Settings", store: "SqlStore", letter: DeadLetter) -> DeadLetter:
    """Everything else is shown even when its input cannot be."""
    from pipelines.payloads.port import PayloadMissing, PayloadsAway

    try:
        return opened.with_input(settings, store, letter)
    except (PayloadMissing, PayloadsAway) as fault:
        say(str(fault))
        return letter


def _print_letters(letters: Iterable[DeadLetter], json: bool) -> None:
    if json:
        for letter in letters:
            json_line(records.dead_letter(letter))
        return
    table(
        ("job", "model", "version", "reason", "attempts", "failed", "error"),
        [(x.id, x.model, x.version, x.reason, x.attempts, iso(x.failed_at), x.error[:SHOWN_ERROR]) for x in letters],
    )


def _print_strays(strays: list[Stray], json: bool) -> None:
    if json:
        for stray in strays:
            json_line(records.stray(stray))
        return
    table(
        ("source", "position", "seen", "bytes", "error"),
        [(x.source, x.position, iso(x.seen_at), len(x.raw or b""), x.error[:SHOWN_ERROR]) for x in strays],
    )


def _hint_at_strays(count: int) -> None:
    """They are not among the dead letters, and of no tenant."""
    if count:
        more = " or more" if count == MOST_COUNTED else ""
        say(f"{count}{more} stray{'s' if count > 1 else ''}: forebay dlq ls --strays")


def _print_groups(groups: list[Group], json: bool) -> None:
    if json:
        for one in groups:
            json_line(records.group(one))
        return
    table(
        ("count", "model", "version", "reason", "last", "example", "error"),
        [(x.count, x.model, x.version, x.reason, iso(x.last_at), x.example, x.error[:SHOWN_ERROR]) for x in groups],
    )


def _print_whole(letter: DeadLetter) -> None:
    for name, value in records.dead_letter(letter).items():
        print(f"{name}: {line_of(value)}")
    print(f"inputs: {line_of(letter.inputs)}")
    if letter.metadata is not None:
        print(f"metadata: {line_of(letter.metadata)}")
    for tried in letter.history:
        where = f"attempt {tried.attempt} of generation {tried.generation}, {iso(tried.at)}"
        print(f"{where}: {tried.reason}: {line_of(tried.error)}")
    for one in letter.replays:
        version = one.version if one.version == one.version_before else f"{one.version} (was {one.version_before})"
        print(f"replayed as generation {one.generation}, {iso(one.at)}, by {line_of(one.by)}: version {version}")
        if one.inputs_before is not None:
            print(f"  inputs before: {line_of(one.inputs_before)}")
        if one.inputs_before_ref is not None:
            print(f"  inputs before: payload {one.inputs_before_ref}")
