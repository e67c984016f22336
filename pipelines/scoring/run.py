"""A run: planned, scored part by part, published whole; killed anywhere and begun again, it ends the same."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from pipelines.scoring import inputs
from pipelines.scoring.again import is_retry_of, last_of, next_of
from pipelines.scoring.assembling import Assembly, assemble
from pipelines.scoring.dataset import DataSet, Files
from pipelines.scoring.faults import (
    BadOrder,
    InputChanged,
    LockLost,
    OtherRun,
    RunBusy,
    SharedOutput,
    StorageFault,
    TooManyRejects,
)
from pipelines.scoring.few import few
from pipelines.scoring.guard import Guard
from pipelines.scoring.hive import Partitions
from pipelines.scoring.manifesting import manifest_of, rejected
from pipelines.scoring.part import Tell
from pipelines.scoring.planning import Pruning, input_files, parts_of
from pipelines.scoring.progress import (
    Attempts,
    begin_attempt,
    iso,
    keep_attempts,
    keep_plan,
    keep_tags,
    known_plan,
    record_part,
    recorded_part,
)
from pipelines.scoring.storage.port import Held, Parts, Records, Storage
from pipelines.scoring.tagging import Tags
from schemas.model_spec import ModelSpec
from schemas.scoring import Manifest, Order, PartDone, PartPlan, Plan

_NOTHING = PartPlan(0, "", (), 0)
"""Of an output without rows: one file all the same, for its columns."""


class Work(Struct, frozen=True):
    """What an engine is given."""

    plan: Plan
    assembly: Assembly
    data: DataSet
    parts: Parts
    killed: int = 0
    """Attempts before this one that were killed, and no part done in between: it may be a row's doing."""


class Engine(Protocol):
    """Scores parts, one by one or many at once, on one machine or many."""

    def score(self, work: Work, numbers: Sequence[int], tell: Tell) -> Iterator[PartDone]:
        """In any order. Raises ScoreFault, Stopped."""
        ...


class Observer(Protocol):
    def planned(self, plan: Plan, rows_done: int, parts_done: int) -> None:
        """Not called when it is published already."""
        ...

    def progress(self, rows: int, rejected: int) -> bool:
        """Rows read and rejected since it was told last. False: stop."""
        ...

    def part(self, done: PartDone) -> None: ...


class Run(Struct, frozen=True):
    order: Order
    spec: ModelSpec
    each: bool
    """Whether the model takes rows one by one."""
    files: Files
    storage: Storage
    engine: Engine
    holder: str
    """Who we are, for whoever finds the lock taken."""
    forebay: str
    """Our version."""
    now: Callable[[], datetime]
    tell: Callable[[str], None]
    failpoint: Callable[[str], None] = lambda name: None
    onto: Manifest | None = None
    """What is published, where this run only adds to it: its rejects, scored again."""
    named: bool = True
    """False: its id is made of its order, and is the first of those that runs of this order have."""

    def run(self, observer: Observer, overwrite: bool = False) -> Manifest:
        """Raises ScoreFault, Stopped; then nothing is published, and the same call goes on from there. Published already, and
        its input is what it was: it does nothing."""
        return (self if self.named else self._numbered(overwrite))._run(observer, overwrite)

    def _numbered(self, overwrite: bool) -> "Run":
        last = last_of(self.order, self.storage)
        if last is None:
            return self
        run_id, there = last
        run = replace(self, order=replace(self.order, run_id=run_id))
        if overwrite and (there.order.run_id != run_id or run._changes(there)):
            return replace(self, order=replace(self.order, run_id=next_of(run_id, self.order.run_id)))
        return run

    def _run(self, observer: Observer, overwrite: bool) -> Manifest:
        published = self._published(overwrite)
        try:
            held = self.storage.lock(self.order.run_id, self.holder, self.tell)
        except RunBusy:
            if published is None:
                raise
            return published  # whoever is at it there, this run is over
        try:
            return self._held(held, observer, overwrite)
        finally:
            held.release()

    def _held(self, held: Held, observer: Observer, overwrite: bool) -> Manifest:
        published = self._published(overwrite)
        if published is not None:  # by the one who held it before us, who may have been killed right after
            self.storage.forget(self.order.run_id)
            return published
        records, parts = self.storage.run(self.order.run_id)
        left = _Left(known_plan(records) is not None)
        try:
            manifest, done = self._attempted(held, records, parts, observer, left)
        except BaseException as fault:
            if not left.anything and not isinstance(fault, LockLost):
                with contextlib.suppress(StorageFault):  # the fault is told, and not what else does not work then
                    self.storage.forget(self.order.run_id)
            raise
        self.failpoint("before-publish")
        stored = [file for each in done for file in (each.file, each.rejects) if file is not None]
        kept = [] if self.onto is None else [part.path for part in self.onto.parts]
        self.storage.publish(held, manifest, stored, kept, overwrite)
        self.failpoint("published")
        self.storage.forget(self.order.run_id)
        return manifest

    def _attempted(
        self, held: Held, records: Records, parts: Parts, observer: Observer, left: "_Left"
    ) -> tuple[Manifest, list[PartDone]]:
        """All that is to be published."""
        began = self.now()
        attempts = begin_attempt(records, began)
        plan, assembly, data = self._planned(held, records)
        tags = Tags(self.files, plan.files, lambda files: keep_tags(records, files))
        try:
            done = self._scored(
                held, records, Work(plan, assembly, data, parts, attempts.killed), attempts, observer, left
            )
            files = tags.wait()
        finally:
            attempts.seconds += (self.now() - began).total_seconds()
            attempts.open = False
            keep_attempts(records, attempts)
            tags.close()
        self._check(done)
        made = manifest_of(plan, assembly.schema, files, done, self.onto)
        self._check_inputs(plan)
        return self._stamped(made, attempts), done

    def _published(self, overwrite: bool) -> Manifest | None:
        """What is there already, when it is this run's. Raises InputChanged, BadOrder, OtherRun."""
        try:
            current = self.storage.current(self.order.run_id)
        except SharedOutput:
            if overwrite:
                return None
            raise
        if current is None:
            return None
        if current.order.run_id != self.order.run_id:
            self._check_replaced(current, overwrite)
            return None
        if current.order != self.order:
            raise OtherRun(
                f"{self.storage.name}: run {self.order.run_id} was published with another "
                f"{_difference(current.order, self.order)}; give another --run-id and --overwrite"
            )
        changed = self._changes(current)
        if changed:
            what = "give another --run-id and --overwrite" if self.named else "call it again with --overwrite"
            raise InputChanged(
                f"{self.files.name} changed since run {self.order.run_id} was published: {few(changed)}; "
                f"{what} to score it as it is now"
            )
        return current

    def _check_replaced(self, current: Manifest, overwrite: bool) -> None:
        there = current.order.run_id
        if is_retry_of(there, self.order.run_id) and (self.named or not overwrite):
            what = "give another --run-id and --overwrite" if self.named else "call it again with --overwrite"
            raise BadOrder(
                f"{self.storage.name}: holds run {self.order.run_id} with its rejects scored again ({there}); "
                f"{what} to score all of it anew"
            )
        if not overwrite or (self.onto is not None and current != self.onto):
            raise BadOrder(
                f"{self.storage.name}: holds the output of run {there}; --overwrite replaces it, at once and whole"
            )

    def _planned(self, held: Held, records: Records) -> tuple[Plan, Assembly, DataSet]:
        plan = known_plan(records)
        if plan is None:
            return self._plan(held, records)
        if plan.order != self.order:
            raise OtherRun(
                f"{self.storage.name}: run {self.order.run_id} was begun with another {_difference(plan.order, self.order)}; "
                "go on with the same, or give another --run-id"
            )
        self._check_inputs(plan)
        data = inputs.planned_data(self.files, plan)
        return plan, assemble(self.order, self.spec, self.each, data), data

    def _plan(self, held: Held, records: Records) -> tuple[Plan, Assembly, DataSet]:
        found = inputs.find(self.files, self.order.where)
        if (told := found.told()) is not None:
            self.tell(told)
        data, skipped = inputs.read(self.files, found, self.order.skip_corrupt)
        assembly = assemble(self.order, self.spec, self.each, data)
        files = input_files(data, [*found.listed, *found.others])
        pruning = Pruning(data, assembly.partitions, assembly.wanted.where)
        parts = parts_of(files, [pruning.wanted(file) for file in files], self.order.part_rows) or (_NOTHING,)
        plan = Plan(self.order, files, parts, tuple(skipped), found.partitions.kinds)
        held.check()
        keep_plan(records, plan)
        self.failpoint("planned")
        return plan, assembly, data

    def _scored(
        self, held: Held, records: Records, work: Work, attempts: Attempts, observer: Observer, left: "_Left"
    ) -> list[PartDone]:
        done = {
            part.number: found for part in work.plan.parts if (found := recorded_part(records, work.parts, part.number))
        }
        left.anything = bool(done)
        observer.planned(work.plan, sum(work.plan.parts[number].rows for number in done), len(done))
        guard = Guard(self.order.max_rejects, work.plan.rows, sum(map(rejected, done.values())))
        todo = [part.number for part in work.plan.parts if part.number not in done]
        for each in self.engine.score(work, todo, lambda rows, bad: guard.passes(bad) and observer.progress(rows, bad)):
            self.failpoint("part-scored")
            held.check()
            record_part(records, each)
            left.anything = True
            self.failpoint("part-recorded")
            if attempts.killed:
                attempts.killed = 0
                keep_attempts(records, attempts)
            done[each.number] = each
            observer.part(each)
        if missing := [number for number in todo if number not in done]:  # a mistake of the engine's, never published
            raise RuntimeError(f"run {self.order.run_id}: the engine left out parts {missing[:5]}")
        return [done[number] for number in sorted(done)]

    def _check(self, done: Sequence[PartDone]) -> None:
        bad, read = sum(map(rejected, done)), sum(each.read for each in done)
        if bad > self.order.max_rejects * read:
            raise TooManyRejects(
                f"{bad:,} of {read:,} rows were rejected, --max-rejects allows {self.order.max_rejects:g} of them; "
                f"nothing is published; they are kept with run {self.order.run_id} beside {self.storage.name}"
            )

    def _check_inputs(self, plan: Plan) -> None:
        where = self.order.where
        found = inputs.find(self.files, where, Partitions.typed(plan.partitions))
        changed = inputs.changes(self.files, where, plan.files, plan.skipped, found)
        if changed:
            raise InputChanged(
                f"{self.files.name} changed since run {self.order.run_id} began: {few(changed)}; "
                "give another --run-id to score it as it is now"
            )

    def _changes(self, published: Manifest) -> list[str]:
        """Of the input, since then."""
        where = self.order.where
        found = inputs.find(self.files, where)
        return inputs.changes(self.files, where, published.inputs, published.skipped, found)

    def _stamped(self, made: Manifest, attempts: Attempts) -> Manifest:
        before = 0.0 if self.onto is None else self.onto.seconds
        return replace(
            made, began=attempts.began if self.onto is None else self.onto.began, finished=iso(self.now()),
            seconds=round(before + attempts.seconds, 3), attempts=attempts.count, forebay=self.forebay,
        )  # fmt: skip


class _Left:
    """Whether an attempt that fails leaves something that the next one goes on from."""

    def __init__(self, anything: bool) -> None:
        self.anything = anything


def _difference(before: Order, now: Order) -> str:
    """The first field in which they differ, and how."""
    for field in before.__struct_fields__:
        old, new = getattr(before, field), getattr(now, field)
        if old != new:
            return f"{field.replace('_', '-')} ({old!r}, now {new!r})"
    return "order"
