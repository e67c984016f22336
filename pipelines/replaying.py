"""Replaying dead letters: patch the input, change the version, check it, and go at a bounded rate.

Every replay names the generation that was seen to fail, so that one that is given twice, by two operators, or again
after it was killed half-way, applies once (I7).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from pipelines.catalog import Catalog
from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput
from pipelines.store.port import Store
from schemas.dead_letters import DeadLetter, DeadLetterFilter, Replay

PAGE = 200


class Change(Struct, frozen=True):
    """What a replay changes; by default nothing."""

    patch: Any = msgspec.UNSET
    """A JSON merge patch (RFC 7396) on the input."""
    version: str | None = None
    """Number or alias."""
    by: str = "operator"


def select(store: Store, tenant: str | None, wanted: DeadLetterFilter) -> Iterator[DeadLetter]:
    """Every dead letter that matches, newest failure first. Those that are replayed meanwhile leave the pages to come."""
    cursor: str | None = None
    while True:
        page = store.dead_letters(tenant, wanted, PAGE, cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


def plan(catalog: Catalog, letters: Sequence[DeadLetter], change: Change) -> list[Replay]:
    """The replays of these letters. Raises InvalidInput or LookupError, naming the job, before any is made."""
    codecs: dict[tuple[str, str], InputCodec] = {}
    return [_plan(catalog, codecs, letter, change) for letter in letters]


def replay(
    store: Store, tenant: str | None, replays: Sequence[Replay], rate: float | None, sleep: Callable[[float], None]
) -> Iterator[tuple[str, bool]]:
    """Replay them in chunks, at most `rate` a second; each id with whether it applied."""
    size = PAGE if rate is None else max(1, min(PAGE, int(rate)))
    for start in range(0, len(replays), size):
        chunk = replays[start : start + size]
        if start and rate is not None:
            sleep(size / rate)
        applied = set(store.replay(tenant, chunk))
        for one in chunk:
            yield one.id, one.id in applied


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def _plan(catalog: Catalog, codecs: dict[tuple[str, str], InputCodec], letter: DeadLetter, change: Change) -> Replay:
    version = letter.version if change.version is None else catalog.resolve(letter.model, change.version).version
    if change.patch is msgspec.UNSET and change.version is None:
        return Replay(letter.id, letter.generation, change.by)
    inputs = letter.inputs if change.patch is msgspec.UNSET else _patched(letter, change.patch)
    key = (letter.model, version)
    if key not in codecs:
        codecs[key] = InputCodec(catalog.resolve(*key).spec)
    try:
        codecs[key].decode(inputs)
    except InvalidInput as fault:
        raise InvalidInput(f"job {letter.id}: {fault}") from None
    patched = None if change.patch is msgspec.UNSET else inputs
    return Replay(letter.id, letter.generation, change.by, patched, None if change.version is None else version)


def _patched(letter: DeadLetter, patch: Any) -> bytes:
    try:
        return msgspec.json.encode(merge(msgspec.json.decode(letter.inputs), patch))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise InvalidInput(f"job {letter.id}: its input is not JSON, so it cannot be patched") from None
