"""A run's manifest, made of its parts."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from msgspec.structs import replace

from pipelines.scoring.faults import OtherRun
from schemas.scoring import Column, InputFile, Manifest, PartDone, Plan, Published, StoredFile


def manifest_of(
    plan: Plan, schema: pa.Schema, files: tuple[InputFile, ...], done: Sequence[PartDone], onto: Manifest | None
) -> Manifest:
    """Without times and attempts. `files`: the plan's, tagged. `onto`: what it only adds to. Raises OtherRun."""
    made = Manifest(
        order=plan.order,
        schema=tuple(Column(field.name, str(field.type)) for field in schema),
        parts=tuple(_published(each.file for each in done)),
        rejects=tuple(_published(each.rejects for each in done)),
        inputs=files,
        skipped=(*plan.skipped, *(skipped for each in done for skipped in each.skipped)),
        rows=sum(each.file.rows for each in done if each.file is not None),
        rejected=sum(map(rejected, done)),
        began="", finished="", seconds=0.0, attempts=0, forebay="",
    )  # fmt: skip
    return made if onto is None else _joined(onto, made)


def rejected(done: PartDone) -> int:
    return 0 if done.rejects is None else done.rejects.rows


def _joined(before: Manifest, again: Manifest) -> Manifest:
    """Its rejects are what is left of them; its inputs and their order stay what the rows came from."""
    if before.schema != again.schema and before.parts:
        raise OtherRun(
            f"the output's columns would change from {_shown(before.schema)} to {_shown(again.schema)}: score it all again"
        )
    return replace(
        again, parts=(*before.parts, *again.parts), inputs=before.inputs, skipped=(*before.skipped, *again.skipped),
        rows=before.rows + again.rows,
    )  # fmt: skip


def _shown(schema: Sequence[Column]) -> str:
    return ", ".join(f"{column.name} {column.type}" for column in schema)


def _published(files: Iterable[StoredFile | None]) -> Iterator[Published]:
    return (Published(file.path, file.rows, file.size, file.sha256) for file in files if file is not None)
