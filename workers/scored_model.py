"""A loaded model as the scoring lane runs it: rows come as tensors, and answers leave as tensors."""

from collections.abc import Sequence

from pipelines.flow.served import HookFailed, InvalidOutput, Prepared
from pipelines.ports import InvalidInput, Tensors
from workers.loading import LoadedModel


class ScoredModel:
    """See `pipelines.scoring.predicting.Scored`. Its hooks, limits and batching are those of the other lanes."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self.name, self.version = loaded.name, loaded.version
        self.limits, self.batching = loaded.limits, loaded.batching
        self.hooked = loaded.hooked
        self.columnar = loaded.columnar

    def prepare(self, raws: Sequence[Tensors]) -> list[Prepared | InvalidInput | HookFailed]:
        return self._loaded.prepare_decoded(raws)

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        return self._loaded.predict(inputs)

    def predict_batch(self, batch: Tensors) -> Tensors:
        return self._loaded.predict_batch(batch)

    def finish(self, outputs: Sequence[Tensors]) -> list[Tensors | InvalidOutput]:
        return self._loaded.finish_tensors(outputs)
