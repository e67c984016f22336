"""The fleet: the models that this worker serves, loaded and warm."""

from collections.abc import Callable, Mapping, Sequence

from pipelines.catalog import ModelVersion
from workers.errors import RuntimeMissing
from workers.loading import LoadedModel, availability, load, warm


class LoadedFleet:
    """See `pipelines.flow.served.Fleet`."""

    def __init__(self, loaded: Mapping[tuple[str, str], LoadedModel]) -> None:
        self._loaded = loaded
        self._names = sorted({name for name, _ in loaded})

    @property
    def models(self) -> Sequence[str]:
        return self._names

    @property
    def largest_batch(self) -> int:
        return max((model.batching.max_batch_size for model in self._loaded.values()), default=1)

    def find(self, model: str, version: str) -> LoadedModel | None:
        return self._loaded.get((model, version))


def load_fleet(
    versions: Sequence[ModelVersion], device: str, on_missing: Callable[[str], None], on_absent: Callable[[str], None]
) -> LoadedFleet:
    """Load and warm every version. One whose runtime cannot be used is told of and left out; a damaged one stops the
    start: raises BadArtifact.

    `on_absent`: its runtime is not installed, and other versions of its model are served: a choice, no fault.
    """
    loaded: dict[tuple[str, str], LoadedModel] = {}
    absent: list[tuple[str, str]] = []
    for version in versions:
        missing = availability(version)
        if missing is not None:
            absent.append((version.name, f"model {version.name} version {version.version} is left out: {missing}"))
            continue
        try:
            model = load(version, device)
        except RuntimeMissing as fault:
            on_missing(str(fault))
            continue
        warm(model, version)
        loaded[version.name, version.version] = model
    served = {name for name, _ in loaded}
    for name, text in absent:
        (on_absent if name in served else on_missing)(text)
    return LoadedFleet(loaded)
