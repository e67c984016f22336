"""From records to answers: decode, cut into batches, run, isolate, try again in place, judge."""

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

from pipelines.flow.isolation import Answer, Failure, Outcome, Unclear, isolate
from pipelines.flow.judging import Judge
from pipelines.flow.served import HookFailed, InvalidOutput, Prepared, Served
from pipelines.ports import InvalidInput
from schemas.jobs import Claim
from schemas.model_spec import Batching
from schemas.reasons import Reason
from schemas.verdicts import Dead, Retry


class Refused(Struct, frozen=True):
    """This record ends in the dead letters."""

    reason: Reason
    error: str
    attempts: int


R = TypeVar("R")
"""A record, as the model's `prepare` takes it."""
A = TypeVar("A")
"""An answer, as its `finish` gives it."""
Answered: TypeAlias = bytes | Refused
"""JSON by output name, or why not."""


_FAULTS = (InvalidOutput, Failure, Unclear)


AnswerMany: TypeAlias = Callable[[Sequence[R]], list[A | InvalidInput] | None]
"""One answer for each, in order: JSON by output name, or why the input does not fit; None when anything else is off."""


class Waiting(Struct, Generic[R]):
    """A record that has no answer yet."""

    place: int
    raw: R
    attempts: int = 0
    """Judged failures so far."""
    alone: bool = False


class Runner(Generic[R, A]):
    """Of one model version. Called by one thread."""

    def __init__(
        self,
        served: Served[R, A],
        chance: random.Random,
        sleep: Callable[[float], None],
        observe: Callable[[int], None] = lambda size: None,
        answer_many: AnswerMany[R, A] | None = None,
    ) -> None:
        """`answer_many`: the model's own way of answering a batch, when it has one."""
        self._served = served
        self._judge = Judge(chance)
        self._sleep = sleep
        self._observe = observe
        self._answer_many = self._each if answer_many is None else answer_many

    def run(self, raws: Sequence[R], time_left: Callable[[], float], alone: bool = False) -> list[A | Refused]:
        """One for each, in order. What fails is tried again in place while `time_left` (seconds), then refused."""
        quick = None if alone else self._at_once(raws)
        if quick is not None:
            return quick
        answers: dict[int, A | Refused] = {}
        waiting = [Waiting(place, raw, alone=alone) for place, raw in enumerate(raws)]
        while waiting:
            waiting, pause = self._round(waiting, answers, time_left)
            if waiting:
                self._sleep(pause)
        return [answers[place] for place in range(len(raws))]

    def _at_once(self, raws: Sequence[R]) -> list[A | Refused] | None:
        """The way of nearly every batch: all alike, and the model answers. None when anything is off."""
        answers = self._answer_many(raws)
        if answers is None or len(answers) != len(raws):
            return None
        bad = sum([type(answer) is InvalidInput for answer in answers])
        if bad < len(raws):
            self._observe(len(raws) - bad)
        if not bad:
            return answers  # type: ignore[return-value]  # all are answers
        return [Refused(Reason.INVALID_INPUT, str(a), 1) if isinstance(a, InvalidInput) else a for a in answers]

    def _each(self, raws: Sequence[R]) -> list[A | InvalidInput] | None:
        """By the model's three steps, for one that has no way of its own: all must fit."""
        served = self._served
        prepared = served.prepare(raws)
        if any([type(item) is not Prepared for item in prepared]):  # noqa: C419  # a list is quicker here
            return None
        cuts = cut(prepared, served.batching)  # type: ignore[arg-type]  # all are, by the check above
        if len(cuts) != 1:
            return None
        try:
            outputs = served.predict([item.tensors for item in prepared])  # type: ignore[union-attr]
        except Exception:  # noqa: BLE001  # the long way round finds whose fault it is
            return None
        if len(outputs) != len(raws):
            return None
        finished = served.finish(outputs)
        if any([type(result) is InvalidOutput for result in finished]):  # noqa: C419
            return None
        return finished  # type: ignore[return-value]  # all answers, by the check above

    def _round(
        self, waiting: Sequence[Waiting[R]], answers: dict[int, A | Refused], time_left: Callable[[], float]
    ) -> tuple[list[Waiting[R]], float]:
        """One attempt for each; who waits for another, and how long."""
        ready: list[tuple[Waiting[R], Prepared]] = []
        again: list[Waiting[R]] = []
        pauses = [0.0]
        for item, prepared in zip(waiting, self._served.prepare([item.raw for item in waiting]), strict=True):
            if isinstance(prepared, Prepared):
                ready.append((item, prepared))
            else:
                self._judge_one(item, prepared, answers, again, pauses, time_left)
        for batch in self._batches(ready):
            items = [item for item, _ in batch]
            outcomes = isolate(self._served.predict, [prepared.tensors for _, prepared in batch])
            self._observe(len(items))
            for item, judged in zip(items, self._finished(outcomes), strict=True):
                if isinstance(judged, _FAULTS):
                    self._judge_one(item, judged, answers, again, pauses, time_left)
                else:
                    answers[item.place] = judged
        return again, max(pauses)

    def _batches(self, ready: Sequence[tuple[Waiting[R], Prepared]]) -> list[list[tuple[Waiting[R], Prepared]]]:
        together = [pair for pair in ready if not pair[0].alone]
        cuts = cut([prepared for _, prepared in together], self._served.batching)
        return [[together[n] for n in places] for places in cuts] + [[pair] for pair in ready if pair[0].alone]

    def _finished(self, outcomes: Sequence[Outcome]) -> list[A | InvalidOutput | Failure | Unclear]:
        results = iter(self._served.finish([each.output for each in outcomes if isinstance(each, Answer)]))
        return [next(results) if isinstance(each, Answer) else each for each in outcomes]

    def _judge_one(
        self,
        item: Waiting[R],
        fault: InvalidInput | HookFailed | InvalidOutput | Failure | Unclear,
        answers: dict[int, A | Refused],
        again: list[Waiting[R]],
        pauses: list[float],
        time_left: Callable[[], float],
    ) -> None:
        if isinstance(fault, InvalidInput):
            answers[item.place] = Refused(Reason.INVALID_INPUT, str(fault), item.attempts + 1)
            return
        if not isinstance(fault, Failure | HookFailed | InvalidOutput):  # it failed only in company
            item.alone = True
            again.append(item)
            return
        verdict = self._judge.of(fault, _claim(item), self._served.limits)
        if isinstance(verdict, Retry) and verdict.delay < time_left():
            item.attempts += 1
            again.append(item)
            pauses.append(verdict.delay)
        elif isinstance(verdict, Retry | Dead):
            answers[item.place] = Refused(verdict.reason, verdict.error, item.attempts + 1)


def cut(prepared: Sequence[Prepared], batching: Batching) -> list[list[int]]:
    """Places of the items of each batch: only like shapes together, like costs together, within size and cost (items × the
    dearest)."""
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for place, item in enumerate(prepared):
        groups[item.likeness].append(place)
    return [batch for places in groups.values() for batch in _cut_group(places, prepared, batching)]


def _cut_group(places: list[int], prepared: Sequence[Prepared], batching: Batching) -> list[list[int]]:
    most, dearest = batching.max_batch_size, batching.max_batch_cost
    if dearest is None:
        return [places[start : start + most] for start in range(0, len(places), most)]
    batches: list[list[int]] = []
    for place in sorted(places, key=lambda place: prepared[place].cost):  # the last one in is the dearest
        batch = batches[-1] if batches else None
        if batch is None or len(batch) >= most or (len(batch) + 1) * prepared[place].cost > dearest:
            batches.append([place])
        else:
            batch.append(place)
    return batches


def _claim(item: Waiting[R]) -> Claim:
    """What the retry policy looks at."""
    return Claim(0, "", "", "", "", b"", 0, 0, 0, item.attempts, 0)
