"""Which dead letters are meant, and what is to be done to them, from the words of the command."""

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from forebay.cli.errors import CommandError, Exit
from schemas.dead_letters import DeadLetterFilter
from schemas.jobs import JobView, Purged
from schemas.reasons import Reason
from schemas.states import State

if TYPE_CHECKING:
    from pipelines.store.port import Store


class Chosen(Struct, frozen=True):
    tenant: str
    wanted: DeadLetterFilter


class Instead(Struct, frozen=True):
    """Why an id that was named is left alone."""

    text: str
    unknown: bool


def choose(
    tenant: str,
    ids: list[str] | None,
    all_: bool,
    model: str | None,
    version: str | None,
    reason: Reason | None,
    error: str | None,
    since: float | None,
    until: float | None,
) -> Chosen:
    """Never everything by accident."""
    wanted = DeadLetterFilter(model, version, reason, error, since, until, tuple(ids or ()))
    if wanted == DeadLetterFilter() and not all_:
        raise CommandError("name jobs, give a filter such as --reason, or say --all", Exit.USAGE)
    if all_ and ids:
        raise CommandError("either --all or ids, not both", Exit.USAGE)
    return Chosen(tenant, wanted)


def patch(given: str | None) -> Any:
    """The merge patch; UNSET when there is none."""
    if given is None:
        return msgspec.UNSET
    text = Path(given[1:]).read_bytes() if given.startswith("@") else given
    try:
        found = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as fault:
        raise CommandError(f"--patch is not JSON: {fault}", Exit.USAGE) from None
    if not isinstance(found, dict):
        raise CommandError('--patch: expected a JSON object such as {"pixels": […]}', Exit.USAGE)
    return found


def user() -> str:
    """Who runs this command, as the system knows them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number that has no name
        return f"uid {os.getuid()}"


def instead(store: "Store", tenant: str, ids: list[str]) -> Iterator[tuple[str, Instead]]:
    """What these are, that are no dead letters that match."""
    if not ids:
        return
    from forebay.cli import waiting

    found = waiting.look(store, tenant, ids)
    for id in ids:
        yield id, _instead(found.get(id))


def _instead(seen: JobView | Purged | None) -> Instead:
    if seen is None:
        return Instead("no such job", True)
    if isinstance(seen, Purged):
        return Instead("it was purged", True)
    if seen.state is State.FAILED:
        return Instead("a dead letter that the filters leave out", False)
    return Instead(f"not a dead letter: it is {seen.state}, generation {seen.generation}", False)
