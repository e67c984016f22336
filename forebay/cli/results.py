"""`forebay result | cancel`."""

from typing import Annotated

import typer

from forebay.cli import opened, options, records
from forebay.cli.errors import Exit
from forebay.cli.output import json_line, line_of, say
from schemas.jobs import DEFAULT_TENANT, JobView, Purged
from schemas.states import State


def result(
    id: Annotated[str, typer.Argument(help="The job.")],
    wait: options.Wait = None,
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """A job's result. Exit code 0: it succeeded, 3: unknown or purged, 4: ended otherwise, 5: still pending."""
    from forebay.cli import waiting
    from pipelines.clock import SystemClock

    settings = opened.settings_with(home)
    with opened.existing_store(settings) as store:
        found = waiting.until_ended(store, tenant, [id], wait or 0.0, SystemClock())
        found = opened.with_results(settings, store, found)
    seen = found.get(id)
    if isinstance(seen, JobView) and seen.result is not None and not json:
        print(line_of(seen.result))
    else:
        show(id, seen, json)
    raise typer.Exit(waiting.exit_code([id], found))


def cancel(
    ids: Annotated[list[str], typer.Argument(help="Jobs, by id.")],
    tenant: options.Tenant = DEFAULT_TENANT,
    home: options.Home = None,
    json: options.Json = False,
) -> None:
    """Cancel what has not ended; prints the state that each ended in. Exit code 3 when one is unknown or purged."""
    settings = opened.settings_with(home)
    with opened.existing_store(settings) as store, opened.notices(settings, store) as notices:
        found = store.cancel(tenant, ids)
        notices.ended([id for id, seen in found.items() if isinstance(seen, JobView) and seen.state is State.CANCELED])
    for id in dict.fromkeys(ids):
        seen = found.get(id)
        if json:
            json_line(records.job_or_not(id, seen))
        elif isinstance(seen, JobView):
            print(id, seen.state)
        else:
            _missing(id, seen)
    if not all(isinstance(found.get(id), JobView) for id in ids):
        raise typer.Exit(Exit.NOT_FOUND)


def show(id: str, seen: JobView | Purged | None, json: bool) -> None:
    """One line: id, state, and the result or the reason why there is none."""
    if json:
        json_line(records.job_or_not(id, seen))
    elif not isinstance(seen, JobView):
        _missing(id, seen)
    elif seen.result is not None:
        print(id, seen.state, line_of(seen.result))
    elif seen.error is not None:
        print(id, seen.state, line_of(f"{seen.reason}: {seen.error}"))
    else:
        print(id, seen.state)


def _missing(id: str, seen: JobView | Purged | None) -> None:
    say(f"job {id} was purged: its result is gone" if seen else f"no job {id}")
