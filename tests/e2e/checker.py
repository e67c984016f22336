"""The set algebra of I6 and the automaton of the states, over what clients saw and what the store holds at rest.

Linear in its input. It answers every violation as one line; the empty list is a pass.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from schemas.states import MOVES, TERMINAL, State
from tests.e2e.history import Event
from tests.e2e.rows import Row, Step

Expected = Mapping[int, tuple[State, str | None]]
"""By kind: the state that such an item must end in, and why it failed."""

SUCCEEDS: tuple[State, str | None] = (State.SUCCEEDED, None)


def violations(
    history: Sequence[Event], rows: Sequence[Row], steps: Sequence[Step], expected: Expected, f: Callable[[int], int]
) -> list[str]:
    """`f`: the pure model. A kind that `expected` does not name must succeed."""
    return [
        *_accepted_once(history, rows),
        *_at_rest(rows, expected, f),
        *_seen(history, rows, f),
        *_steps(rows, steps),
    ]


def _accepted_once(history: Sequence[Event], rows: Sequence[Row]) -> Iterator[str]:
    """I1, I2: a row for each 202, one for each key, none for what was refused or never sent."""
    by_id = {row.id: row for row in rows}
    if len(by_id) < len(rows):
        yield f"{len(rows) - len(by_id)} rows share an id with another"
    invoked = {event.key: event for event in history if event.what == "invoke"}
    ids: dict[str | None, set[str | None]] = defaultdict(set)
    for event in history:
        if event.what == "ok":
            ids[event.key].add(event.id)
            row = by_id.get(str(event.id))
            if row is None:
                yield f"lost: key {event.key} got 202 for {event.id}, and there is no such row"
            elif (row.n, row.key) != (event.n, event.key):
                yield f"crossed: {row.id} holds item {row.n} of key {row.key}, key {event.key} sent item {event.n}"
    for key, found in ids.items():
        if len(found) > 1:
            yield f"double: key {key} was answered {len(found)} ids"
    yield from _no_strays(rows, invoked, _without_effect(history))


def _no_strays(rows: Sequence[Row], invoked: Mapping[str | None, Event], refused: set[str | None]) -> Iterator[str]:
    per_key: dict[str | None, int] = defaultdict(int)
    for row in rows:
        per_key[row.key] += 1
        if row.key not in invoked:
            yield f"stray: row {row.id} has key {row.key}, which nobody sent"
        elif row.key in refused:
            yield f"stray: row {row.id} has key {row.key}, which was only ever refused"
    for key, count in per_key.items():
        if count > 1:
            yield f"double: key {key} has {count} rows"


def _without_effect(history: Iterable[Event]) -> set[str | None]:
    """Keys of which every answer was a refusal."""
    answers: dict[str | None, set[str]] = defaultdict(set)
    for event in history:
        if event.what in ("ok", "refused", "unknown"):
            answers[event.key].add(event.what)
    return {key for key, found in answers.items() if found == {"refused"}}


def _at_rest(rows: Iterable[Row], expected: Expected, f: Callable[[int], int]) -> Iterator[str]:
    """I6: every row is in the terminal state that its input leads to, with the answer that belongs to it."""
    for row in rows:
        state, reason = expected.get(row.kind, SUCCEEDS)
        if State(row.state) not in TERMINAL:
            yield f"open: row {row.id} is still {row.state}"
        elif row.state != state:
            yield f"wrong end: item {row.n} of kind {row.kind} is {row.state} ({row.reason}), expected {state}"
        elif row.reason != reason:
            yield f"wrong reason: item {row.n} of kind {row.kind} failed with {row.reason}, expected {reason}"
        if (row.answer is not None) != (row.state == State.SUCCEEDED):
            yield f"result: row {row.id} is {row.state} and its result is {row.answer}"
        elif row.answer is not None and row.answer != f(row.n):
            yield f"crossed: item {row.n} has the answer {row.answer}, expected {f(row.n)}"


def _seen(history: Iterable[Event], rows: Iterable[Row], f: Callable[[int], int]) -> Iterator[str]:
    """I1, I3: what a client saw of a terminal state is what stays; attempts and generations only rise."""
    by_id = {row.id: row for row in rows}
    last: dict[str, Event] = {}
    for event in history:
        if event.what != "seen" or event.id is None:
            continue
        row, before = by_id.get(event.id), last.get(event.id)
        last[event.id] = event
        if row is None:
            yield f"lost: {event.id} was seen {event.status}, and there is no such row"
            continue
        if before is not None:
            yield from _followed(before, event)
        over = event.status in TERMINAL and event.generation == row.generation
        if over and (event.status != row.state or event.result != row.answer):
            yield f"changed: {event.id} was seen {event.status} ({event.result}), and is {row.state} ({row.answer})"
        if event.result is not None and event.result != f(row.n):
            yield f"crossed: {event.id} showed {event.result} for item {row.n}, expected {f(row.n)}"


def _followed(before: Event, now: Event) -> Iterator[str]:
    if (now.generation, now.attempt) < (before.generation, before.attempt):
        yield f"fell: {now.id} went from {before.generation}/{before.attempt} to {now.generation}/{now.attempt}"
    if before.generation == now.generation and before.status in TERMINAL and before.status != now.status:
        yield f"undone: {now.id} was {before.status} and then {now.status}"


def _steps(rows: Iterable[Row], steps: Iterable[Step]) -> Iterator[str]:
    """I3, I4, I5: moves of the state table alone, fences that rise by one at each claim, one end per generation."""
    last: dict[int, Step] = {}
    ends: dict[tuple[int, int], int] = defaultdict(int)
    for step in steps:
        before = last.get(step.seq)
        last[step.seq] = step
        if before is not None and (before.after, before.fence) != (step.before, step.fence_before):
            yield f"gap: row {step.seq} was {before.after} with fence {before.fence}, then changed from {step.before}"
        yield from _one_step(step)
        if State(step.after) in TERMINAL and step.before != step.after:
            ends[step.seq, step.generation] += 1
    for (seq, generation), count in ends.items():
        if count > 1:
            yield f"double: row {seq} ended {count} times in generation {generation}"
    for row in rows:
        final = last.get(row.seq)
        if final is not None and (final.after, final.fence) != (row.state, row.fence):
            yield f"gap: row {row.id} is {row.state} with fence {row.fence}, its last step says {final.after}"


def _one_step(step: Step) -> Iterator[str]:
    before, after = State(step.before), State(step.after)
    if step.rewritten:
        yield f"rewritten: the result of row {step.seq} changed"
    if after not in MOVES[before] and (before != after or before in TERMINAL):
        yield f"no such move: row {step.seq} went from {before} to {after}"
    claimed = step.fence != step.fence_before
    if claimed and (after != State.RUNNING or step.fence != step.fence_before + 1):
        yield f"fence: row {step.seq} went from {step.fence_before} to {step.fence} as it became {after}"
    if before == State.QUEUED and after == State.RUNNING and not claimed:
        yield f"fence: row {step.seq} was claimed without a new fence"
