"""Whether a machine sees what the run was begun with: the same folders, or S3."""

from pipelines.scoring.faults import BadInput, StorageFault
from pipelines.scoring.few import few
from pipelines.scoring.opening import open_files
from pipelines.scoring.progress import PLAN
from pipelines.scoring.storage.opening import open_storage
from workers.scoring_recipe import Recipe

_EXPECTED = "be on S3, or in a folder that every machine of the cluster has at the same path"


def check_shared(recipe: Recipe) -> None:
    """Before anything is written: a machine that does not share the folders would keep its parts to itself. Raises BadInput,
    StorageFault."""
    storage = open_storage(recipe.output)
    records, _ = storage.run(recipe.plan.order.run_id)
    if records.get(PLAN) is None:
        raise StorageFault(f"{storage.name}: the run that was begun is not seen here: the output must {_EXPECTED}")
    files = open_files(recipe.input)
    there = {file.path for file in files.listed()}
    missing = [file.path for file in recipe.plan.files if file.path not in there]
    if missing:
        raise BadInput(f"{files.name}: not seen here: {few(missing)}; the input must {_EXPECTED}")
