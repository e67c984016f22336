"""One bad item never costs its neighbours: a failing batch is halved until the culprit stands alone.

One culprit among 32 costs 11 runs: the batch, then two halves on each of five levels. When both halves fail alike,
halving stops: it may be the device or the deploy, and halving on would only multiply the failure. What did not fail
alone then goes back uncharged, to run alone. Out of memory halves too, but is nobody's fault: the ceiling is learned.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from msgspec import Struct

from pipelines.ports import OutOfMemory, Tensors


class Answer(Struct, frozen=True, gc=False):
    output: Tensors


class Failure(Struct, frozen=True):
    """It failed alone: it is the culprit."""

    error: Exception


class Unclear(Struct, frozen=True):
    """It failed only in company, and so did the others."""

    error: Exception


Outcome: TypeAlias = Answer | Failure | Unclear
Predict: TypeAlias = Callable[[Sequence[Tensors]], list[Tensors]]
OnCeiling: TypeAlias = Callable[[int], None]


class WrongCount(Exception):
    """The model answered with another number of outputs than it got inputs: nothing can be matched."""


def isolate(predict: Predict, inputs: Sequence[Tensors], on_ceiling: OnCeiling = lambda size: None) -> list[Outcome]:
    """One outcome per input, in order. `on_ceiling` learns the largest size that is known to fit after an out-of-memory."""
    return _settle(predict, inputs, _attempt(predict, inputs), on_ceiling)


def _attempt(predict: Predict, inputs: Sequence[Tensors]) -> list[Outcome] | Exception:
    try:
        outputs = predict(inputs)
        if len(outputs) != len(inputs):
            raise WrongCount(f"the model answered {len(outputs)} outputs for {len(inputs)} inputs")
    except Exception as error:  # noqa: BLE001  # whatever a model raises becomes an outcome
        return error
    return [Answer(output) for output in outputs]


def _settle(
    predict: Predict, inputs: Sequence[Tensors], got: list[Outcome] | Exception, on_ceiling: OnCeiling
) -> list[Outcome]:
    if isinstance(got, list):
        return got
    if len(inputs) == 1:
        return [Failure(got)]
    middle = len(inputs) // 2
    halves = (inputs[:middle], inputs[middle:])
    if isinstance(got, OutOfMemory):
        on_ceiling(middle)
    attempts = [_attempt(predict, half) for half in halves]
    left, right = attempts
    if _alike(left, right):
        return [outcome for half, error in zip(halves, attempts, strict=True) for outcome in _stop(half, error)]
    return [
        outcome
        for half, attempt in zip(halves, attempts, strict=True)
        for outcome in _settle(predict, half, attempt, on_ceiling)
    ]


def _alike(left: list[Outcome] | Exception, right: list[Outcome] | Exception) -> bool:
    """The same kind of error with the same text; running out of memory is expected to happen alike, and is halved on."""
    if isinstance(left, list) or isinstance(right, list) or isinstance(left, OutOfMemory):
        return False
    return type(left) is type(right) and str(left) == str(right)


def _stop(half: Sequence[Tensors], error: list[Outcome] | Exception) -> list[Outcome]:
    assert isinstance(error, Exception)
    if len(half) == 1:
        return [Failure(error)]
    return [Unclear(error) for _ in half]
