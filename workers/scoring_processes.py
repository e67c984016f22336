"""The local engine with several processes: each has a replica of the model, and takes the next part when it is done with one.

A process that ends in the middle (an abort in the model's code, the kernel short of memory) costs its part another run, and
the row that did it is found and rejected.
"""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from pipelines.scoring.part import Stopped, Tell
from pipelines.scoring.run import Work
from pipelines.scoring.suspects import Suspects
from schemas.reasons import Reason
from schemas.scoring import PartDone
from workers.scoring_child import HUNG, Failed, Finished, Moved, Running, Task, serve
from workers.scoring_recipe import Recipe

MOST_ENDS = 20
"""Of processes in one part: so many rows of it may each take one down."""
_STOP_S = 5.0


class _Child:
    """A process, and what it is at."""

    def __init__(self, recipe: Recipe) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self.connection: Connection[Any, Any] = ours
        self._process = context.Process(target=serve, args=(theirs, recipe), name="forebay-scoring", daemon=True)
        self._process.start()
        theirs.close()
        self.task: Task | None = None
        self.running: tuple[int, int | None] | None = None
        self.moved = Moved(0, 0)
        """Of the part it is at: taken back when it ends."""

    def give(self, task: Task) -> None:
        self.task, self.running, self.moved = task, None, Moved(0, 0)
        self.connection.send(task)

    def how_it_ended(self) -> tuple[str, Reason]:
        self._process.join()
        code = self._process.exitcode or 0
        if code == HUNG:
            return "since its model ran for more than limits.timeout_s", Reason.TIMEOUT
        return f"by signal {-code}" if code < 0 else f"with {code}", Reason.CRASHED

    def close(self) -> None:
        self.connection.close()
        self._process.join(_STOP_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


class Processes:
    """See `pipelines.scoring.run.Engine`."""

    def __init__(self, count: int, recipe: Callable[[Work], Recipe]) -> None:
        self._count = count
        self._recipe = recipe

    def score(self, work: Work, numbers: Sequence[int], tell: Tell) -> Iterator[PartDone]:
        return scored(self._count, self._recipe(work), numbers, tell)


def scored(count: int, recipe: Recipe, numbers: Sequence[int], tell: Tell) -> Iterator[PartDone]:
    """By so many processes. Raises ScoreFault, Stopped."""
    left = deque(Task(number, Suspects()) for number in numbers)
    children = [_Child(recipe) for _ in range(min(count, len(left)))]
    try:
        for child in children:
            child.give(left.popleft())
        while any(child.task is not None for child in children):
            for place, child in _speaking(children):
                yield from _hear(child, tell, left)
                if child.task is not None and child.connection.closed:
                    children[place] = _Child(recipe)
                    children[place].give(child.task)
    finally:
        for child in children:
            child.close()


def _hear(child: _Child, tell: Tell, left: "deque[Task]") -> Iterator[PartDone]:
    assert child.task is not None
    try:
        said = child.connection.recv()
    except (EOFError, ConnectionResetError):
        _ended(child, tell)
        return
    match said:
        case Running(batch, row):
            child.running = (batch, row)
        case Moved(rows, rejected):
            child.moved = Moved(child.moved.rows + rows, child.moved.rejected + rejected)
            if not tell(rows, rejected):
                raise Stopped
        case Finished(part):
            child.task = None
            if left:
                child.give(left.popleft())
            yield part
        case Failed(fault):
            raise fault


def _ended(child: _Child, tell: Tell) -> None:
    """Its part is another's now: `task` says with what care, and the closed connection that it has to be begun again."""
    assert child.task is not None
    suspects = child.task.suspects.after(child.running, MOST_ENDS, child.task.number, *child.how_it_ended())
    tell(-child.moved.rows, -child.moved.rejected)
    child.task = Task(child.task.number, suspects)
    child.connection.close()


def _speaking(children: Sequence[_Child]) -> list[tuple[int, _Child]]:
    busy = {child.connection: (place, child) for place, child in enumerate(children) if child.task is not None}
    return [busy[ready] for ready in wait(list(busy))]  # type: ignore[index]  # connections only
