"""The distributed engine: parts as rows of a Ray Data data set, scored by actors that hold the model."""

import logging
import socket
from collections.abc import Callable, Iterator, Sequence

import ray
import ray.data
from ray.data import ActorPoolStrategy
from ray.exceptions import RayError

from pipelines.scoring.faults import ScoreFault
from pipelines.scoring.few import few
from pipelines.scoring.part import Stopped, Tell
from pipelines.scoring.run import Work
from schemas.scoring import PartDone
from workers.errors import one_line
from workers.scoring_ray_actor import TOLD, Failed, PartActor, Told, decode
from workers.scoring_ray_cluster import connected
from workers.scoring_recipe import Recipe
from workers.scoring_shipping import pack

log = logging.getLogger("forebay.scoring")


class RayData:
    """See `pipelines.scoring.run.Engine`. Parts come in the order in which they get done."""

    def __init__(self, address: str | None, workers: int | None, recipe: Callable[[Work], Recipe]) -> None:
        """`address`: of a running cluster; None: as Ray finds one, else one of this machine for this run alone. `workers`:
        actors; None: one for each CPU (or GPU) of the cluster."""
        self._address = address
        self._workers = workers
        self._recipe = recipe

    def score(self, work: Work, numbers: Sequence[int], tell: Tell) -> Iterator[PartDone]:
        if not numbers:
            return
        recipe, left = self._recipe(work), set(numbers)
        with connected(self._address):
            try:
                for told in self._told(recipe, numbers):
                    done = _done(told)
                    if not tell(done.read, 0 if done.rejects is None else done.rejects.rows):
                        raise Stopped
                    left.remove(done.number)
                    yield done
            except RayError as fault:
                raise _given_up(fault, left) from fault

    def _told(self, recipe: Recipe, numbers: Sequence[int]) -> Iterator[Told]:
        gpu = recipe.device.startswith("cuda")
        actors = min(len(numbers), self._workers or _there_are("GPU" if gpu else "CPU"))
        shipment = pack(recipe.version, ray.put)
        parts = ray.data.from_items(list(numbers), override_num_blocks=len(numbers))
        parts.context.enable_progress_bars = parts.context.print_on_execution_start = False
        answers = parts.map_batches(
            PartActor,
            fn_constructor_args=(recipe, shipment, socket.gethostname()),
            batch_size=1,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=actors, max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            num_gpus=1 if gpu else 0,
        )
        # Nothing is fetched ahead: a part that is done is recorded at once.
        for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
            yield from map(decode, batch.column(TOLD).to_pylist())


def _done(told: Told) -> PartDone:
    if isinstance(told, Failed):
        if told.trace:
            log.error("an actor failed: %s", told.trace.rstrip())
        raise told.fault()
    return told.part


def _there_are(resource: str) -> int:
    count = int(ray.cluster_resources().get(resource, 0))
    if not count:
        raise ScoreFault(f"the Ray cluster has no {resource}, expected at least one")
    return count


def _given_up(fault: RayError, left: set[int]) -> ScoreFault:
    return ScoreFault(
        f"Ray gave up with parts {few([str(number) for number in sorted(left)])} not done: {one_line(fault, 300)}; the same "
        "command goes on from there"
    )
