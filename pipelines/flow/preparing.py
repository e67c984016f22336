"""Preparing: from an item's bytes to what the model takes, at intake or, for a suspect, once its start was counted."""

from collections.abc import Sequence

from pipelines.flow.breaker import Breaker
from pipelines.flow.item import Item
from pipelines.flow.judging import Judge
from pipelines.flow.served import HookFailed, Prepared, Served
from pipelines.flow.watch import PREPARING, Watch
from pipelines.ports import InvalidInput
from schemas.reasons import Reason
from schemas.verdicts import Dead, Release, Verdict


class Preparer:
    """Of one thread."""

    def __init__(self, judge: Judge, breaker: Breaker, watch: Watch) -> None:
        self._judge = judge
        self._breaker = breaker
        self._watch = watch

    def prepare(self, served: Served, items: Sequence[Item]) -> tuple[list[Item], list[tuple[Item, Verdict]]]:
        """Those that are ready, and the verdicts of the others. Neither counts when the watch gave up meanwhile."""
        if not served.hooked:
            return self._sort(served, items, served.prepare([item.claim.inputs for item in items]))
        ready: list[Item] = []
        refused: list[tuple[Item, Verdict]] = []
        wary = self._breaker.is_wary(served.name, served.version)
        order = sorted(items, key=lambda item: self._breaker.doubt(item.claim)) if wary else items
        for item in order:  # one by one, so that the one that never ends is known
            if self._breaker.pause_left(served.name, served.version, item.claim.tenant) > 0:
                refused.append((item, Release(self._breaker.back_in(item.claim))))
                continue
            self._watch.begin([item], PREPARING)
            if self._watch.given_up:
                break
            prepared = served.prepare([item.claim.inputs])
            good, bad = self._sort(served, [item], prepared)
            ready += good
            refused += bad
        return ready, refused

    def _sort(
        self, served: Served, items: Sequence[Item], prepared: Sequence[Prepared | InvalidInput | HookFailed]
    ) -> tuple[list[Item], list[tuple[Item, Verdict]]]:
        ready: list[Item] = []
        refused: list[tuple[Item, Verdict]] = []
        for item, got in zip(items, prepared, strict=True):
            if isinstance(got, Prepared):
                item.prepared = got
                ready.append(item)
            elif isinstance(got, InvalidInput):
                refused.append((item, Dead(Reason.INVALID_INPUT, str(got))))
            else:
                refused.append((item, self._judge.of(got, item.claim, served.limits)))
        if refused:
            self._breaker.note(
                served.name, served.version, [verdict for _, verdict in refused], [item.claim for item, _ in refused]
            )
        return ready, refused
