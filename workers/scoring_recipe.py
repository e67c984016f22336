"""What a process needs to score parts of a plan by itself, on this machine or on another."""

import time
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from pipelines.catalog import ModelVersion
from pipelines.scoring.assembling import assemble
from pipelines.scoring.inputs import planned_data
from pipelines.scoring.opening import open_files
from pipelines.scoring.part import PartScorer
from pipelines.scoring.storage.opening import open_storage
from schemas.scoring import Plan
from workers.loading import load
from workers.scored_model import ScoredModel


class Recipe(Struct, frozen=True):
    version: ModelVersion
    device: str
    plan: Plan
    input: str
    """Addresses, with what is left out of the plan's names."""
    output: str


def scorer_of(recipe: Recipe) -> PartScorer:
    """With a model of its own. Raises ScoreFault, BadArtifact, RuntimeMissing."""
    order = recipe.plan.order
    model = ScoredModel(load(recipe.version, recipe.device))
    files = open_files(recipe.input)
    data = planned_data(files, recipe.plan)
    assembly = assemble(order, recipe.version.spec, not model.columnar, data)
    _, parts = open_storage(recipe.output).run(order.run_id)
    return assembly.scorer(data, recipe.plan.files, model, parts, time.sleep)


def elsewhere(recipe: Recipe) -> Recipe:
    """For processes of other machines: folders by their full path; and since who shares out the machines' GPUs shows each
    process its own only, the first one that it sees. Without one asked for, none."""
    device = "cuda" if recipe.device.startswith("cuda") else "cpu"
    return replace(recipe, device=device, input=_full(recipe.input), output=_full(recipe.output))


def _full(address: str) -> str:
    return address if "://" in address else str(Path(address).absolute())
