"""A process of the local engine: it loads the model once, and scores the parts it is told to."""

import ctypes
import os
import signal
import threading
from multiprocessing.connection import Connection

from msgspec import Struct

from pipelines.scoring.faults import Hung, ScoreFault
from pipelines.scoring.part import PartScorer, Stopped
from pipelines.scoring.suspects import Suspects
from schemas.scoring import PartDone
from workers.errors import BadArtifact, RuntimeMissing
from workers.scoring_recipe import Recipe, scorer_of

_PR_SET_PDEATHSIG = 1
HUNG = 124
"""Exit code of a process whose model does not come back, as `timeout` has it."""


class Task(Struct, frozen=True):
    number: int
    suspects: Suspects


class Running(Struct, frozen=True):
    """This is what runs from now on."""

    batch: int
    row: int | None


class Moved(Struct, frozen=True):
    rows: int
    rejected: int


class Finished(Struct, frozen=True):
    part: PartDone


class Failed(Struct, frozen=True):
    fault: Exception
    """One that is told in a line."""


def serve(parent: Connection, recipe: Recipe) -> None:
    """Until the parent closes its end, or ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to deal with
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        scorer = scorer_of(recipe)
        while True:
            task: Task = parent.recv()
            parent.send(Finished(_score(parent, scorer, recipe, task)))
    except Hung:  # the thread it hangs in ends only with the process
        os._exit(HUNG)
    except (ScoreFault, BadArtifact, RuntimeMissing) as fault:
        parent.send(Failed(fault))
    except (EOFError, BrokenPipeError, Stopped):
        pass


def _score(parent: Connection, scorer: PartScorer, recipe: Recipe, task: Task) -> PartDone:
    one_by_one = threading.Lock()  # what runs is told by another thread than what is done

    def tell(rows: int, rejected: int) -> bool:
        with one_by_one:
            parent.send(Moved(rows, rejected))
        return True

    def announce(batch: int, row: int | None) -> None:
        with one_by_one:
            parent.send(Running(batch, row))

    part = recipe.plan.parts[task.number]
    return scorer.score(part, tell, task.suspects, announce)
