"""Replaying dead letters: patch the input, change the version, check it, and go at a bounded rate.

Every replay names the generation that was seen to fail, so that one that is given twice, by two operators, or again
after it was killed half-way, applies once (I7).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct, structs

from pipelines.catalog import Catalog
from pipelines.clock import Clock
from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput
from pipelines.store.port import Store
from schemas.dead_letters import DeadLetter, DeadLetterFilter, Replay

PAGE = 200
_CHUNKS_A_SECOND = 10
"""A bounded rate is spread over each second, rather than spent at its start."""


class Change(Struct, frozen=True):
    """What a replay changes; by default nothing."""

    patch: Any = msgspec.UNSET
    """A JSON merge patch (RFC 7396) on the input."""
    version: str | None = None
    """Number or alias."""
    by: str = "operator"
    model: str | None = None

    @property
    def needs_check(self) -> bool:
        return self.patch is not msgspec.UNSET or self.version is not None or self.model is not None


class Outcome(Struct, frozen=True):
    id: str
    applied: bool
    """False: it was no dead letter of that generation any more."""


def select(store: Store, tenant: str | None, wanted: DeadLetterFilter) -> Iterator[DeadLetter]:
    """Every dead letter that matches, newest failure first. One that is replayed meanwhile leaves the pages to come."""
    ids = tuple(dict.fromkeys(wanted.ids))
    for start in range(0, max(1, len(ids)), PAGE):
        yield from _pages(store, tenant, structs.replace(wanted, ids=ids[start : start + PAGE]))


def _pages(store: Store, tenant: str | None, wanted: DeadLetterFilter) -> Iterator[DeadLetter]:
    cursor: str | None = None
    while True:
        page = store.dead_letters(tenant, wanted, PAGE, cursor)
        yield from page.items
        cursor = page.cursor
        if cursor is None:
            return


class Planner:
    """Makes the replay of one dead letter, checked."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        change: Change,
        with_input: Callable[[DeadLetter], DeadLetter] = lambda letter: letter,
    ) -> None:
        """`catalog`, and `with_input`, which brings an input that the row only names, are asked only when the input has to be
        held against a model."""
        self._catalog = catalog
        self._change = change
        self._with_input = with_input
        self._checks: dict[tuple[str, str | None], tuple[str, InputCodec]] = {}
        self._opened: Catalog | None = None

    def plan(self, letter: DeadLetter) -> Replay:
        """Raises InvalidInput, naming the job and the field, or UnknownModel or UnknownVersion (LookupError)."""
        change = self._change
        if not change.needs_check:
            return Replay(letter.id, letter.generation, change.by, tenant=letter.tenant)
        letter = self._with_input(letter)
        patched = None if change.patch is msgspec.UNSET else _patched(letter, change.patch)
        version, codec = self._target(letter)
        try:
            codec.decode(letter.inputs if patched is None else patched)
        except InvalidInput as fault:
            raise InvalidInput(f"job {letter.id}: {fault}") from None
        version_asked = None if change.version is None else version
        if change.model is None:
            return Replay(letter.id, letter.generation, change.by, patched, version_asked, tenant=letter.tenant)
        by = f"{change.by} (model {change.model}, was {letter.model})"
        return Replay(letter.id, letter.generation, by, patched, version, model=change.model, tenant=letter.tenant)

    def _target(self, letter: DeadLetter) -> tuple[str, InputCodec]:
        change = self._change
        keeps_version = change.version is None and change.model is None
        key = (change.model or letter.model, letter.version if keeps_version else None)
        if key not in self._checks:
            if self._opened is None:
                self._opened = self._catalog()
            found = self._opened.resolve(key[0], key[1] or change.version)
            self._checks[key] = (found.version, InputCodec(found.spec))
        return self._checks[key]


def plan(catalog: Callable[[], Catalog], letters: Iterable[DeadLetter], change: Change) -> list[Replay]:
    """The replays of these letters; all are checked before any is made. Raises as `Planner.plan` does."""
    planner = Planner(catalog, change)
    return [planner.plan(letter) for letter in letters]


def replay(
    store: Store,
    tenant: str | None,
    replays: Sequence[Replay],
    rate: float | None,
    clock: Clock,
    sleep: Callable[[float], None],
) -> Iterator[list[Outcome]]:
    """Replay them in chunks, at most `rate` a second. Stopping in between leaves the rest as they are."""
    size = PAGE if rate is None else max(1, min(PAGE, int(rate / _CHUNKS_A_SECOND)))
    began = clock.monotonic()
    for start in range(0, len(replays), size):
        if rate is not None and start:
            sleep(max(0.0, began + start / rate - clock.monotonic()))
        chunk = replays[start : start + size]
        applied = set(store.replay(tenant, chunk))
        yield [Outcome(one.id, one.id in applied) for one in chunk]


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


def _patched(letter: DeadLetter, patch: Any) -> bytes:
    try:
        given = msgspec.json.decode(letter.inputs)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise InvalidInput(f"job {letter.id}: its input is not JSON, so it cannot be patched") from None
    try:
        return msgspec.json.encode(merge(given, patch))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError):
        raise InvalidInput(f"job {letter.id}: the patch does not make JSON of its input") from None
