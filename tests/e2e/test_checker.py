"""The checker itself: every kind of broken history must turn it red."""

from collections.abc import Callable

import msgspec
import pytest

from schemas.states import State
from tests.e2e.checker import violations
from tests.e2e.history import Event, decoded
from tests.e2e.rows import Row, Step

Told = tuple[list[Event], list[Row], list[Step]]
FAILS = {9: (State.FAILED, "crashed")}


def f(n: int) -> int:
    return n * 2


def _good() -> Told:
    """Three jobs: one at once, one whose reply was lost and whose lease was lost, one poison."""
    history = [
        Event("invoke", "a", 1),
        Event("ok", "a", 1, id="A"),
        Event("invoke", "b", 2),
        Event("unknown", "b", 2),
        Event("ok", "b", 2, id="B"),
        Event("seen", id="B", status="running", attempt=1),
        Event("invoke", "c", 3, kind=9),
        Event("ok", "c", 3, kind=9, id="C"),
        Event("invoke", "d", 4),
        Event("refused", "d", 4),
        Event("seen", id="A", status="succeeded", attempt=1, result=2),
        Event("seen", id="A", status="succeeded", attempt=1, result=2),
    ]
    rows = [
        Row(1, "A", "a", "succeeded", 1, 0, 0, 1, 0, 0, None, 2),
        Row(2, "B", "b", "succeeded", 2, 0, 0, 2, 0, 0, None, 4),
        Row(3, "C", "c", "failed", 3, 9, 0, 1, 0, 1, "crashed"),
    ]
    steps = [
        Step(1, "queued", "running", 0, 0, 1),
        Step(2, "queued", "running", 0, 0, 1),
        Step(1, "running", "succeeded", 0, 1, 1),
        Step(2, "running", "running", 0, 1, 2),
        Step(2, "running", "succeeded", 0, 2, 2),
        Step(3, "queued", "running", 0, 0, 1),
        Step(3, "running", "failed", 0, 1, 1),
    ]
    return history, rows, steps


def _checked(told: Told) -> list[str]:
    return violations(*told, FAILS, f)


def test_a_good_history_passes() -> None:
    assert _checked(_good()) == []


def _lost_row(told: Told) -> None:
    del told[1][0]
    told[2][:] = [step for step in told[2] if step.seq != 1]


def _two_ids_for_a_key(told: Told) -> None:
    told[0].append(Event("ok", "a", 1, id="B"))


def _two_rows_for_a_key(told: Told) -> None:
    told[1].append(Row(4, "D", "a", "succeeded", 1, 0, 0, 0, 0, 0, None, 2))


def _row_nobody_sent(told: Told) -> None:
    told[1].append(Row(4, "D", "z", "succeeded", 1, 0, 0, 0, 0, 0, None, 2))


def _refused_but_there(told: Told) -> None:
    told[1].append(Row(4, "D", "d", "succeeded", 4, 0, 0, 0, 0, 0, None, 8))


def _change(number: int, **changes: object) -> Callable[[Told], None]:
    """Of a row."""

    def breaks(told: Told) -> None:
        told[1][number] = msgspec.structs.replace(told[1][number], **changes)

    return breaks


def _step(number: int, **changes: object) -> Callable[[Told], None]:
    def breaks(told: Told) -> None:
        told[2][number] = msgspec.structs.replace(told[2][number], **changes)

    return breaks


def _seen(**fields: object) -> Callable[[Told], None]:
    return lambda told: told[0].append(Event("seen", **fields))  # type: ignore[arg-type]  # a test's shorthand


def _second_end(told: Told) -> None:
    told[2].append(Step(1, "succeeded", "failed", 0, 1, 1))


def _written_again(told: Told) -> None:
    told[2].append(Step(1, "succeeded", "succeeded", 0, 1, 1))


def _ended_twice_across_a_requeue(told: Told) -> None:
    told[2].extend([Step(1, "succeeded", "running", 0, 1, 2), Step(1, "running", "succeeded", 0, 2, 2)])
    told[1][0] = msgspec.structs.replace(told[1][0], fence=2)


def _unseen_change(told: Told) -> None:
    del told[2][3]


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (_lost_row, "lost"),  # the sweep, or the acknowledgement before the commit
        (_two_ids_for_a_key, "double"),
        (_two_rows_for_a_key, "double"),
        (_row_nobody_sent, "stray"),
        (_refused_but_there, "stray"),
        (_change(0, state="running", answer=None), "open"),
        (_change(0, state="queued", answer=None), "open"),
        (_change(0, state="failed", reason="crashed", answer=None), "wrong end"),
        (_change(2, state="succeeded", reason=None, answer=6), "wrong end"),  # a dead letter that was never written
        (_change(2, reason="timeout"), "wrong reason"),
        (_change(0, answer=4), "crossed"),  # another job's answer
        (_change(0, answer=None), "result"),
        (_change(2, answer=6), "result"),
        (_change(0, n=2, answer=4), "crossed"),  # another client's input
        (_change(1, id="A"), "share an id"),
        (_seen(id="A", status="succeeded", attempt=1, result=3), "changed"),
        (_seen(id="A", status="failed", attempt=1), "changed"),
        (_seen(id="A", status="running", attempt=1), "undone"),
        (_seen(id="A", status="succeeded", attempt=0, result=2), "fell"),
        (_seen(id="Z", status="queued", attempt=1), "lost"),
        (_step(3, fence=1), "gap"),  # claimed under the same fence
        (_step(0, fence=0), "fence"),
        (_step(0, fence=2), "fence"),
        (_step(2, fence=2), "fence"),  # a stale write that got through
        (_step(2, after="queued"), "gap"),
        (_step(2, rewritten=True), "rewritten"),
        (_second_end, "no such move"),
        (_written_again, "no such move"),  # a stale write of the same answer
        (_ended_twice_across_a_requeue, "ended 2 times"),
        (_unseen_change, "gap"),
    ],
)
def test_a_broken_history_is_red(breaks: Callable[[Told], None], says: str) -> None:
    told = _good()
    breaks(told)
    found = _checked(told)
    assert any(says in line for line in found), found


def test_a_history_survives_its_file() -> None:
    events = _good()[0]
    assert decoded(msgspec.json.encode(event) for event in events) == events
