"""Judging: what a run's outcome means for the job. The retry policy lives here and nowhere else."""

import random
from collections.abc import Sequence

from pipelines.flow.isolation import Answer, Failure, Outcome, Unclear, WrongCount
from pipelines.flow.item import Item
from pipelines.flow.served import HookFailed, InvalidOutput, Served
from pipelines.ports import InvalidInput, OutOfMemory
from schemas.jobs import Claim
from schemas.model_spec import Limits
from schemas.reasons import Reason
from schemas.verdicts import Dead, Done, Release, Retry, Verdict


class Judge:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def outcomes(self, served: Served, items: Sequence[Item], outcomes: Sequence[Outcome]) -> list[Verdict]:
        """One verdict per item, in order."""
        answers = [outcome.output for outcome in outcomes if isinstance(outcome, Answer)]
        results = iter(served.finish(answers))
        if len(answers) == len(outcomes):
            return [
                Done(result) if type(result) is bytes else self._finished(item, result)
                for item, result in zip(items, results, strict=True)
            ]
        return [
            self._finished(item, next(results)) if isinstance(outcome, Answer) else self._failed(item, outcome)
            for item, outcome in zip(items, outcomes, strict=True)
        ]

    def of(self, fault: Failure | HookFailed | InvalidOutput, claim: Claim, limits: Limits) -> Retry | Dead:
        """What went wrong with an item that stood alone."""
        if isinstance(fault, InvalidOutput):
            return self.failure(claim, limits, Reason.INVALID_OUTPUT, fault.error)
        if isinstance(fault, HookFailed):
            return self.failure(claim, limits, Reason.MODEL_ERROR, fault.error)
        if isinstance(fault.error, InvalidInput):
            return Dead(Reason.INVALID_INPUT, str(fault.error))
        return self.failure(claim, limits, _reason(fault.error), describe(fault.error))

    def failure(self, claim: Claim, limits: Limits, reason: Reason, error: str) -> Retry | Dead:
        """A judged failure: another attempt after full-jitter backoff, or the dead letters when attempts are spent."""
        if claim.attempt >= limits.max_attempts:
            return Dead(reason, error)
        return Retry(reason, error, delay=self.backoff(claim.attempt, limits))

    def backoff(self, attempt: int, limits: Limits) -> float:
        """Full jitter: a uniform draw up to base × 2^(attempt−1), capped."""
        return self._chance.uniform(0.0, min(limits.retry_max_s, limits.retry_base_s * 2.0 ** min(attempt - 1, 62)))

    def _finished(self, item: Item, result: bytes | InvalidOutput) -> Verdict:
        return Done(result) if isinstance(result, bytes) else self.of(result, item.claim, item.served.limits)

    def _failed(self, item: Item, outcome: Failure | Unclear) -> Verdict:
        if isinstance(outcome, Unclear):
            return Release(suspect=True)
        return self.of(outcome, item.claim, item.served.limits)


def crashed(claim: Claim, limits: Limits) -> Dead | None:
    """A suspect that was started too often without an answer is dead-lettered instead of started."""
    if claim.starts < limits.max_deliveries:
        return None
    error = f"started {claim.starts} times in a row without an answer: it takes its worker down with it"
    return Dead(Reason.CRASHED, error, charged=False)


def describe(error: BaseException) -> str:
    """One line: what was raised, and where in the model's code."""
    try:
        text = " ".join(str(error).split()) or "no message"
    except Exception:  # noqa: BLE001  # an exception of the model's own, whose text raises: it is the model's error all the same
        text = "its message cannot be read"
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f" ({place.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{place.tb_lineno})"
    return f"{type(error).__name__}: {text}{where}"


def _reason(error: Exception) -> Reason:
    match error:
        case OutOfMemory():
            return Reason.OUT_OF_MEMORY
        case WrongCount():
            return Reason.INVALID_OUTPUT
        case _:
            return Reason.MODEL_ERROR
