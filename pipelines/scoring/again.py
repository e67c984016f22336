"""Runs that nobody named: one order's runs are numbered, since a run id is never used twice."""

import re

from pipelines.scoring.faults import SharedOutput
from pipelines.scoring.storage.port import Storage
from schemas.scoring import Manifest, Order

RETRY = "-retry-"


def is_retry_of(run_id: str, first: str) -> bool:
    """Whether it scored rejects of that run again."""
    name, _, number = run_id.rpartition(RETRY)
    return name == first and number.isdigit()


def last_of(order: Order, storage: Storage) -> tuple[str, Manifest] | None:
    """The last run of this order that is published: its id, and what is there, which may be a retry of its rejects. None:
    there is none. Raises OtherRun."""
    found, run_id = None, order.run_id
    while True:
        try:
            there = storage.current(run_id)
        except SharedOutput:
            return found
        at = None if there is None else _of(there.order.run_id, order.run_id)
        if there is None or at is None or (found is not None and found[0] == at):
            return found
        found, run_id = (at, there), next_of(at, order.run_id)  # where runs share an output, each finds its own


def next_of(run_id: str, first: str) -> str:
    """`run-…`, `run-…-2`, `run-…-3`."""
    return f"{first}-2" if run_id == first else f"{first}-{int(run_id.rpartition('-')[2]) + 1}"


def _of(run_id: str, first: str) -> str | None:
    """Without what says that it is a retry; None: it is of another order."""
    found = re.fullmatch(rf"({re.escape(first)}(?:-\d+)?)(?:{RETRY}\d+)?", run_id)
    return None if found is None else found[1]
