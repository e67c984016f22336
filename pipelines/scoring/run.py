"""A run: planned, scored part by part, published whole; killed anywhere and begun again, it ends the same."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec
import pyarrow as pa
from msgspec import Struct
from msgspec.structs import replace

from pipelines.scoring.assembling import Assembly, assemble
from pipelines.scoring.dataset import DataSet, Files, Listed, changed_files, parquet_files, read_footers
from pipelines.scoring.faults import BadOrder, InputChanged, OtherRun, RunBusy, TooManyRejects
from pipelines.scoring.few import few
from pipelines.scoring.part import Tell
from pipelines.scoring.planning import Pruning, input_files, parts_of
from pipelines.scoring.storage.port import Held, Parts, Records, Storage
from pipelines.scoring.tagging import Tags
from schemas.model_spec import ModelSpec
from schemas.scoring import Column, InputFile, Manifest, Order, PartDone, PartPlan, Plan, Published, StoredFile, encode

PLAN = "plan.json"
ATTEMPTS = "attempts.json"
TAGS = "tags.json"
_NOTHING = PartPlan(0, "", (), 0)
"""Of an output without rows: one file all the same, for its columns."""


class Attempts(Struct):
    """Of this run, so far."""

    began: str
    count: int = 0
    seconds: float = 0.0
    open: bool = False
    """Whether one goes on, or was killed."""
    killed: int = 0
    """Since a part was done."""


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
    def planned(self, plan: Plan, rows_done: int, parts_done: int) -> None: ...

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

    def run(self, observer: Observer, overwrite: bool = False) -> Manifest:
        """Raises ScoreFault, Stopped; then nothing is published, and the same call goes on from there."""
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
        began = self.now()
        attempts = _attempts(records, began)
        records.put(ATTEMPTS, encode(attempts))
        plan, assembly, data = self._planned(held, records)
        tags = Tags(self.files, plan.files, lambda files: records.put(TAGS, encode([file.tag for file in files])))
        try:
            work = Work(plan, assembly, data, parts, attempts.killed)
            done = self._scored(held, records, work, attempts, observer)
            files = tags.wait()
        finally:
            attempts.seconds += (self.now() - began).total_seconds()
            attempts.open = False
            records.put(ATTEMPTS, encode(attempts))
            tags.close()
        self._check(done)
        manifest = self._manifest(plan, assembly.schema, files, done, attempts)
        self._check_inputs(plan.files)
        self.failpoint("before-publish")
        stored = [file for each in done for file in (each.file, each.rejects) if file is not None]
        kept = [] if self.onto is None else [part.path for part in self.onto.parts]
        self.storage.publish(held, manifest, stored, kept, overwrite)
        self.failpoint("published")
        self.storage.forget(self.order.run_id)
        return manifest

    def _published(self, overwrite: bool) -> Manifest | None:
        """What is there already, when it is this run's."""
        try:
            current = self.storage.current(self.order.run_id)
        except OtherRun:
            if overwrite and self.onto is None:
                return None  # whatever is there is replaced
            raise
        if current is None:
            return None
        if current.order.run_id != self.order.run_id:
            if overwrite and (self.onto is None or current == self.onto):
                return None
            raise BadOrder(
                f"{self.storage.name}: holds the output of run {current.order.run_id}; --overwrite replaces it, at once and whole"
            )
        if current.order != self.order:
            raise OtherRun(
                f"{self.storage.name}: run {self.order.run_id} was published with another "
                f"{_difference(current.order, self.order)}; give another --run-id and --overwrite"
            )
        return current

    def _planned(self, held: Held, records: Records) -> tuple[Plan, Assembly, DataSet]:
        known = records.get(PLAN)
        listed = parquet_files(self.files)
        if known is None:
            return self._plan(held, records, listed)
        plan = msgspec.json.decode(known, type=Plan)
        if plan.order != self.order:
            raise OtherRun(
                f"{self.storage.name}: run {self.order.run_id} was begun with another {_difference(plan.order, self.order)}; "
                "go on with the same, or give another --run-id"
            )
        known = records.get(TAGS)
        if known is not None:
            tags = msgspec.json.decode(known, type=list[str])
            tagged = tuple(replace(file, tag=tag) for file, tag in zip(plan.files, tags, strict=True))
            plan = replace(plan, files=tagged)
        self._check_inputs(plan.files, listed)
        names = {file.path for file in plan.files}
        data, _ = read_footers(self.files, [each for each in listed if each.path in names], skip_corrupt=False)
        return plan, assemble(self.order, self.spec, self.each, data), data

    def _plan(self, held: Held, records: Records, listed: Sequence[Listed]) -> tuple[Plan, Assembly, DataSet]:
        data, skipped = read_footers(self.files, listed, self.order.skip_corrupt)
        assembly = assemble(self.order, self.spec, self.each, data)
        files = input_files(data, listed)
        pruning = Pruning(data, assembly.partitions, assembly.wanted.where)
        parts = parts_of(files, [pruning.wanted(file) for file in files], self.order.part_rows) or (_NOTHING,)
        plan = Plan(self.order, files, parts, tuple(skipped))
        held.check()
        records.put(PLAN, encode(plan))
        self.failpoint("planned")
        return plan, assembly, data

    def _scored(
        self, held: Held, records: Records, work: Work, attempts: Attempts, observer: Observer
    ) -> list[PartDone]:
        done = {
            part.number: found for part in work.plan.parts if (found := _recorded(records, work.parts, part.number))
        }
        observer.planned(work.plan, sum(work.plan.parts[number].rows for number in done), len(done))
        guard = _Guard(self.order.max_rejects, work.plan.rows, sum(_rejected(each) for each in done.values()))
        left = [part.number for part in work.plan.parts if part.number not in done]
        for each in self.engine.score(work, left, lambda rows, bad: guard.passes(bad) and observer.progress(rows, bad)):
            self.failpoint("part-scored")
            held.check()
            records.put(_name(each.number), encode(each))
            self.failpoint("part-recorded")
            if attempts.killed:
                attempts.killed = 0
                records.put(ATTEMPTS, encode(attempts))
            done[each.number] = each
            observer.part(each)
        return [done[number] for number in sorted(done)]

    def _check(self, done: Sequence[PartDone]) -> None:
        rejected, read = sum(map(_rejected, done)), sum(each.read for each in done)
        if rejected > self.order.max_rejects * read:
            raise TooManyRejects(
                f"{rejected:,} of {read:,} rows were rejected, --max-rejects allows {self.order.max_rejects:g} of them; "
                f"nothing is published; they are kept with run {self.order.run_id} beside {self.storage.name}"
            )

    def _check_inputs(self, planned: Sequence[InputFile], listed: Sequence[Listed] | None = None) -> None:
        now = parquet_files(self.files) if listed is None else listed
        changed = list(changed_files(planned, now, self.files))
        if changed:
            raise InputChanged(
                f"{self.files.name} changed since run {self.order.run_id} began: {few(changed)}; "
                "give another --run-id to score it as it is now"
            )

    def _manifest(
        self, plan: Plan, schema: pa.Schema, files: tuple[InputFile, ...], done: Sequence[PartDone], attempts: Attempts
    ) -> Manifest:
        made = Manifest(
            order=self.order,
            schema=tuple(Column(field.name, str(field.type)) for field in schema),
            parts=tuple(_published(each.file for each in done)),
            rejects=tuple(_published(each.rejects for each in done)),
            inputs=files,
            skipped=(*plan.skipped, *(skipped for each in done for skipped in each.skipped)),
            rows=sum(each.file.rows for each in done if each.file is not None),
            rejected=sum(map(_rejected, done)),
            began=attempts.began,
            finished=_iso(self.now()),
            seconds=round(attempts.seconds, 3),
            attempts=attempts.count,
            forebay=self.forebay,
        )
        return made if self.onto is None else _joined(self.onto, made)


class _Guard:
    """Ends a run as soon as more is rejected than may be, whatever comes."""

    def __init__(self, most: float, rows: int, rejected: int) -> None:
        self._most = most * rows
        self._rejected = rejected
        self._share = most

    def passes(self, rejected: int) -> bool:
        """Raises TooManyRejects."""
        self._rejected += rejected
        if self._rejected > self._most:
            raise TooManyRejects(
                f"{self._rejected:,} rows were rejected so far, more than --max-rejects {self._share:g} of all; "
                "nothing is published"
            )
        return True


def _joined(before: Manifest, again: Manifest) -> Manifest:
    """Its rejects are what is left of them; its inputs and their order stay what the rows came from."""
    if before.schema != again.schema and before.parts:
        raise OtherRun(
            f"the output's columns would change from {_shown(before.schema)} to {_shown(again.schema)}: score it all again"
        )
    return replace(
        again, parts=(*before.parts, *again.parts), inputs=before.inputs, skipped=(*before.skipped, *again.skipped),
        rows=before.rows + again.rows, seconds=round(before.seconds + again.seconds, 3), began=before.began,
    )  # fmt: skip


def _shown(schema: Sequence[Column]) -> str:
    return ", ".join(f"{column.name} {column.type}" for column in schema)


def _attempts(records: Records, began: datetime) -> Attempts:
    known = records.get(ATTEMPTS)
    attempts = Attempts(_iso(began)) if known is None else msgspec.json.decode(known, type=Attempts)
    attempts.count += 1
    attempts.killed += attempts.open
    attempts.open = True
    return attempts


def _recorded(records: Records, parts: Parts, number: int) -> PartDone | None:
    """None when it has to be done again."""
    known = records.get(_name(number))
    if known is None:
        return None
    done = msgspec.json.decode(known, type=PartDone)
    files = [file for file in (done.file, done.rejects) if file is not None]
    return done if all(parts.holds(file) for file in files) else None


def _name(number: int) -> str:
    return f"parts/{number:05d}.json"


def _rejected(done: PartDone) -> int:
    return 0 if done.rejects is None else done.rejects.rows


def _published(files: Iterable[StoredFile | None]) -> Iterator[Published]:
    return (Published(file.path, file.rows, file.size, file.sha256) for file in files if file is not None)


def _difference(before: Order, now: Order) -> str:
    """The first field in which they differ, and how."""
    for field in before.__struct_fields__:
        old, new = getattr(before, field), getattr(now, field)
        if old != new:
            return f"{field.replace('_', '-')} ({old!r}, now {new!r})"
    return "order"


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
