"""Waiting for jobs to end, by looking at the store."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

from forebay.cli.errors import Exit
from pipelines.clock import Clock
from pipelines.store.port import Store
from schemas.jobs import JobView, Purged
from schemas.states import TERMINAL, State

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 0.5
_SLOWER = 1.5
_PAGE = 500

Seen = dict[str, JobView | Purged]


def until_ended(
    store: Store,
    tenant: str,
    ids: Sequence[str],
    seconds: float,
    clock: Clock,
    sleep: Callable[[float], None] = time.sleep,
) -> Seen:
    """What there is of these jobs once all have ended, or after so many seconds. Unknown ids are missing."""
    deadline = clock.monotonic() + seconds
    found = look(store, tenant, ids)
    pause = FIRST_PAUSE_S
    while open_ := [id for id, seen in found.items() if is_pending(seen)]:
        left = deadline - clock.monotonic()
        if left <= 0:
            break
        sleep(min(pause, left))
        pause = min(pause * _SLOWER, LONGEST_PAUSE_S)
        found |= look(store, tenant, open_)
    return found


def look(store: Store, tenant: str, ids: Sequence[str]) -> Seen:
    found: Seen = {}
    for page in _pages(ids):
        found |= store.read(tenant, page)
    return found


def is_pending(seen: JobView | Purged) -> bool:
    return isinstance(seen, JobView) and seen.state not in TERMINAL


def exit_code(ids: Sequence[str], found: Mapping[str, JobView | Purged]) -> Exit:
    """The worst of them: unknown or purged, then pending, then ended without success."""
    seen = [found.get(id) for id in ids]
    if not all(isinstance(one, JobView) for one in seen):
        return Exit.NOT_FOUND
    states = {one.state for one in seen if isinstance(one, JobView)}
    if not states <= TERMINAL:
        return Exit.STILL_PENDING
    return Exit.OK if states <= {State.SUCCEEDED} else Exit.JOB_NOT_SUCCEEDED


def _pages(ids: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while page := list(islice(rest, _PAGE)):
        yield page
