"""The ports: what a broker, an output and a model look like from inside.

At most three methods each. Every method takes and gives whole lists. Ports are called from plain threads; none is
called from an event loop.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from msgspec import Struct

from schemas.jobs import Claim
from schemas.verdicts import Dead, Verdict

if TYPE_CHECKING:
    import numpy as np

    Tensors: TypeAlias = dict[str, np.ndarray]
    """One item's tensors by name, without a batch dimension."""
else:  # whoever only looks at jobs never sees a tensor, and numpy is slow to import
    Tensors = dict


class Message(Struct, frozen=True):
    """What a broker delivered: a name of a row, not the row."""

    id: str
    generation: int
    inputs: bytes | None = None
    """The input that travelled along, when its digest was right."""
    model: str = ""
    """On its way out: the row's model, for an outlet that sends each pool's jobs to a queue of its own. It does not travel."""
    traceparent: str | None = None
    """On its way out: for brokers that carry it beside the body."""
    received: int = 0
    """On its way in: how often the broker has handed it out, where it counts that; 0: it does not."""
    tenant: str | None = None
    """Of the row, when that is known. It does not travel."""
    fence: int = 0
    """On its way out: the row's when it was chosen for sending. It does not travel."""
    doom: Dead | None = None
    """Decided before its claim: what the row of this generation is recorded as, instead of running. It does not travel."""


class Delivery(Struct, frozen=True):
    """One thing that the queue handed out and wants settled."""

    receipt: Any
    """The queue's own handle; only the queue looks into it."""
    message: Message | None = None
    claim: Claim | None = None
    """Set when receive *is* the claim (store queue), or once the row was claimed."""


class Queue(Protocol):
    """The receiving side of a broker. One instance belongs to one supervisor.

    A crash at any moment means: what was received and not settled is delivered again, later, perhaps elsewhere.
    """

    def receive(self, most: int) -> list[Delivery]:
        """Up to `most` deliveries; the empty list when there are none now. Called by one thread only, as often as there
        is credit. May block for as long as the broker's own long poll, no longer than a second."""

    def extend(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Keep these invisible to others for another lease. Returns those still held; what is missing was lost.
        Called by the heartbeat, concurrently with `receive` and `settle`."""

    def settle(self, settled: Sequence[tuple[Delivery, Verdict]]) -> None:
        """The last step, after the verdicts are committed. Settling twice, or with a stale receipt, does nothing.
        A crash before this repeats work, never effects."""


class Outlet(Protocol):
    """The sending side of a broker."""

    def send(self, messages: Sequence[Message], delay: float = 0.0) -> list[bool]:
        """Per message whether the broker confirmed it. Never raises for a broker that is away: it answers False.
        `delay` in seconds is best effort."""

    def answers(self) -> bool:
        """Whether the broker is there, asked now: within a second or two, never raising."""

    def lost(self) -> list[str]:
        """Models whose messages are gone, for their queue was missing and was made anew; each loss once. Never waits."""


class Sink(Protocol):
    """Where verdicts are committed. The jobs lane's sink is the store."""

    def record(self, verdicts: Sequence[tuple[Claim, Verdict]]) -> list[int]:
        """Commit these together. Returns the `seq` of those that counted; a missing one belonged to somebody else by then
        (older fence, canceled, expired) and changed nothing. Raises when the outcome is unknown: calling again is safe."""


class Model(Protocol):
    """One version of a model, loaded on a device, ready to run. Called by one thread at a time."""

    def cost(self, inputs: Tensors) -> float:
        """What one pre-processed item weighs (tokens, pixels, bytes; 1.0 by default). Computed once, at intake."""

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        """One output per input, in order. Raises `OutOfMemory` when the device had no room, anything else is the model's
        error for the whole batch: the caller isolates the culprit."""

    def predict_batch(self, batch: Tensors) -> Tensors:
        """The same for tensors of like items that are stacked already: by name, a batch dimension in front, in and out.
        Raises as `predict` does; the number of rows is for the caller to check."""


class OutOfMemory(Exception):
    """The device has no memory for a batch of this size."""


class InvalidInput(ValueError):
    """This input does not fit the model, and never will: the message names the field, the fault and what was expected."""
