"""What runs on a Ray cluster: an actor that holds the model, and scores the parts it is told to."""

import logging
import socket
import traceback

import msgspec
import pyarrow as pa
import ray
from msgspec import Struct
from msgspec.structs import replace

from pipelines.catalog import ModelVersion
from pipelines.scoring import faults
from pipelines.scoring.faults import Hung, ScoreFault
from pipelines.scoring.part import PartScorer
from pipelines.scoring.storage.opening import open_storage
from schemas.scoring import PartDone
from workers.errors import BadArtifact, RuntimeMissing, one_line
from workers.scoring_processes import scored
from workers.scoring_recipe import Recipe, scorer_of
from workers.scoring_shared import check_shared
from workers.scoring_shipping import Depot, Shipment

log = logging.getLogger("forebay.scoring")

NUMBER, TOLD = "item", "told"
"""Columns: of what an actor is given, which Ray Data's `from_items` names so, and of what it answers."""

MOST_TRIES = 5
"""Of one part, in actors whose process ended before."""

_KINDS: dict[str, type[Exception]] = {
    kind.__name__: kind
    for kind in (
        ScoreFault, faults.BadInput, faults.BadOrder, faults.InputChanged, faults.OtherRun, faults.LockLost,
        faults.StorageFault, BadArtifact, RuntimeMissing,
    )
}  # fmt: skip


class Finished(Struct, frozen=True, tag=True):
    part: PartDone


class Failed(Struct, frozen=True, tag=True):
    """An answer like another: what is raised in an actor would come wrapped in Ray's own faults."""

    kind: str
    text: str
    """One line."""
    trace: str = ""
    """Of what is none of the faults that are told in a line: a bug."""

    def fault(self) -> Exception:
        return _KINDS.get(self.kind, ScoreFault)(self.text)


Told = Finished | Failed
decode = msgspec.json.Decoder(Told).decode


class PartActor:
    """Ray Data makes as many of them as there are workers, and makes one anew whose process ended. From then on its parts
    are scored in a process below it: a row that takes that one down is found and rejected, as by the local engine."""

    def __init__(self, recipe: Recipe, shipment: Shipment, driver: str) -> None:
        """`driver`: the name of the machine that the run was begun on. Raises nothing: the first part does."""
        self._recipe = recipe
        self._shipment = shipment
        self._driver = driver
        self._depot = Depot()
        self._here: Recipe | None = None
        self._scorer: PartScorer | None = None
        self._careful = bool(ray.get_runtime_context().was_current_actor_reconstructed)

    def __call__(self, batch: pa.Table) -> pa.Table:
        told = [msgspec.json.encode(self._told(number)) for number in batch.column(NUMBER).to_pylist()]
        return pa.table({TOLD: pa.array(told, pa.binary())})

    def _told(self, number: int) -> Told:
        try:
            return Finished(self._score(number))
        except Exception as fault:  # noqa: BLE001  # told to the driver, which ends the run with it
            return self._failed(number, fault)

    def _score(self, number: int) -> PartDone:
        recipe = self._laid_out()
        if self._careful:
            return _carefully(recipe, number)
        if self._scorer is None:
            self._scorer = scorer_of(recipe)
        try:
            return self._scorer.score(recipe.plan.parts[number], _go_on)
        except Hung:  # that thread is left to itself: Python cannot stop it
            self._careful = True
            return _carefully(recipe, number)

    def _laid_out(self) -> Recipe:
        if self._here is None:
            check_shared(self._recipe)
            version = self._depot.lay_out(self._shipment, self._recipe.version, ray.get)
            self._here = replace(self._recipe, version=version)
        return self._here

    def _failed(self, number: int, fault: Exception) -> Failed:
        kind, machine = type(fault).__name__, socket.gethostname()
        where = "" if machine == self._driver else f" (on {machine})"
        if kind in _KINDS or isinstance(fault, OSError):
            return Failed(kind, f"{self._as_at_home(one_line(fault))}{where}")
        return Failed(kind, f"part {number}: {kind}: {one_line(fault)}{where}", traceback.format_exc())

    def _as_at_home(self, text: str) -> str:
        """With the folder that the user knows the model by."""
        if self._here is None:
            return text
        return text.replace(_folder(self._here.version), _folder(self._recipe.version))


def _folder(version: ModelVersion) -> str:
    return str(version.folder.parent)


def _carefully(recipe: Recipe, number: int) -> PartDone:
    """Ray tries for ever: how often is counted here, beside the run's other records. Raises ScoreFault."""
    records, _ = open_storage(recipe.output).run(recipe.plan.order.run_id)
    name = f"tries/{number:05d}"
    tries = int(records.get(name) or b"0")
    if tries >= MOST_TRIES:
        records.drop(name)
        raise ScoreFault(
            f"part {number}: the process of its worker ended {tries + 1} times, and not by a row: is there memory enough, or who "
            "kills it?"
        )
    records.put(name, str(tries + 1).encode())
    (done,) = scored(1, recipe, [number], _go_on)
    records.drop(name)
    return done


def _go_on(rows: int, rejected: int) -> bool:
    return True
