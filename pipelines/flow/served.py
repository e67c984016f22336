"""What the flow needs of a model that this worker serves, pre- and post-processing included."""

from collections.abc import Hashable, Sequence
from typing import Protocol

from msgspec import Struct
from typing_extensions import TypeVar

from pipelines.ports import InvalidInput, Tensors
from schemas.model_spec import Batching, Limits


class Prepared(Struct, gc=False):
    """One input, decoded, validated and pre-processed."""

    tensors: Tensors
    cost: float = 1.0
    likeness: Hashable = None
    """Only items of equal likeness share a batch (e.g. their shapes, where these may not be padded)."""


class HookFailed(Struct, frozen=True, gc=False):
    """The model's own pre-processing broke on this input: an error of the model, not of the input."""

    error: str


class InvalidOutput(Struct, frozen=True, gc=False):
    """What the model answered for one item does not fit its declared outputs."""

    error: str


R = TypeVar("R", contravariant=True, default=bytes)
"""What an input comes as: JSON, and on the scoring lane tensors."""
A = TypeVar("A", default=bytes)
"""What an answer leaves as: JSON by output name, and on the scoring lane tensors."""


class Served(Protocol[R, A]):
    name: str
    version: str
    limits: Limits
    batching: Batching

    @property
    def hooked(self) -> bool:
        """Whether `prepare` calls code of the model's own, which may take its time, or never end."""
        ...

    def prepare(self, raws: Sequence[R]) -> list[Prepared | InvalidInput | HookFailed]:
        """One per input, in order. One bad input never costs its neighbours; never raises for what is in an input."""
        ...

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        """See `pipelines.ports.Model`."""
        ...

    def finish(self, outputs: Sequence[Tensors]) -> list[A | InvalidOutput]:
        """Post-processed, checked and encoded; one per output, in order."""
        ...


class Fleet(Protocol):
    """The models of this worker."""

    @property
    def models(self) -> Sequence[str]:
        """Names, for the claim."""
        ...

    def find(self, model: str, version: str) -> Served | None:
        """None when this worker cannot run that version."""
        ...
