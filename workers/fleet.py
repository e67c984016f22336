"""The fleet: the models that this worker serves, loaded and warm."""

from collections.abc import Callable, Mapping, Sequence

from pipelines.catalog import ModelVersion
from workers.errors import RuntimeMissing
from workers.loading import LoadedModel, load, warm


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


def load_fleet(versions: Sequence[ModelVersion], device: str, on_missing: Callable[[str], None]) -> LoadedFleet:
    """Load and warm every version. One whose runtime is not installed is told of and left out; a damaged one stops the
    start: raises BadArtifact."""
    loaded: dict[tuple[str, str], LoadedModel] = {}
    for version in versions:
        try:
            model = load(version, device)
        except RuntimeMissing as missing:
            on_missing(str(missing))
            continue
        warm(model, version)
        loaded[version.name, version.version] = model
    return LoadedFleet(loaded)
