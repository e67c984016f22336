"""Items, claims and a clock, written for a test."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct

from pipelines.flow.item import Item
from pipelines.flow.served import HookFailed, InvalidOutput, Prepared
from pipelines.ports import Delivery, InvalidInput, Tensors
from schemas.jobs import Claim
from schemas.model_spec import Batching, Limits


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Echo(Struct):
    """A model whose output is its input: what is matched to whom shows in the result."""

    name: str = "m"
    version: str = "1"
    limits: Limits = Limits()
    batching: Batching = Batching()
    hooked: bool = False

    def prepare(self, raws: Sequence[bytes]) -> list[Prepared | InvalidInput | HookFailed]:
        return [InvalidInput("inputs.x: bad") if raw == b"bad" else Prepared({"x": np.array([1.0])}) for raw in raws]

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        return [dict(item) for item in inputs]

    def finish(self, outputs: Sequence[Tensors]) -> list[bytes | InvalidOutput]:
        return [
            InvalidOutput("y: NaN") if np.isnan(output["x"]).any() else str(int(output["x"][0])).encode()
            for output in outputs
        ]


def claim(seq: int = 1, **changes: Any) -> Claim:
    given: dict[str, Any] = {
        "seq": seq, "id": f"job-{seq}", "tenant": "default", "model": "m", "version": "1", "inputs": b"{}",
        "generation": 0, "fence": 1, "starts": 0, "failures": 0, "lost": 0,
    }  # fmt: skip
    given |= changes
    return Claim(**({"size": len(given["inputs"])} | given))


def item(
    order: int,
    cost: float = 1.0,
    likeness: Hashable = None,
    served: Echo | None = None,
    arrived: float = 1000.0,
    **claim_changes: Any,
) -> Item:
    """`order` is the row's number too."""
    claimed = claim(order, **claim_changes)
    prepared = Prepared({"x": np.array([float(order)])}, cost, likeness)
    return Item(Delivery(order, claim=claimed), claimed, served or Echo(), arrived, order, prepared)
