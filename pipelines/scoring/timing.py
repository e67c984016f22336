"""How long a model's code has been at it: a batch that never ends would hold the night's run up for good."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pipelines.flow.served import HookFailed, InvalidOutput, Prepared
from pipelines.ports import InvalidInput, Tensors
from pipelines.scoring.faults import Hung
from pipelines.scoring.predicting import Scored


class Timed:
    """See `pipelines.scoring.predicting.Scored`: the same model. One thread calls it, another looks at the time."""

    def __init__(self, model: Scored, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._model = model
        self._monotonic = monotonic
        self._since: float | None = None
        self.name, self.version = model.name, model.version
        self.limits, self.batching = model.limits, model.batching
        self.hooked, self.columnar = model.hooked, model.columnar

    def check(self) -> None:
        """By the other thread, now and then. Raises Hung. Code that never lets Python's lock go is not seen: nor is anything
        else then."""
        since = self._since
        if since is not None and self._monotonic() - since > self.limits.timeout_s:
            raise Hung(
                f"model {self.name} version {self.version}: a batch ran for more than {self.limits.timeout_s:g} s "
                "(limits.timeout_s)"
            )

    def prepare(self, raws: Sequence[Tensors]) -> list[Prepared | InvalidInput | HookFailed]:
        with self._running():
            return self._model.prepare(raws)

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        with self._running():
            return self._model.predict(inputs)

    def predict_batch(self, batch: Tensors) -> Tensors:
        with self._running():
            return self._model.predict_batch(batch)

    def finish(self, outputs: Sequence[Tensors]) -> list[Tensors | InvalidOutput]:
        with self._running():
            return self._model.finish(outputs)

    @contextmanager
    def _running(self) -> Iterator[None]:
        self._since = self._monotonic()
        try:
            yield
        finally:
            self._since = None
