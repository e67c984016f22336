"""What is written about a scoring run: its order, its plan, its parts, its manifest. JSON, one file each."""

from typing import Any

import msgspec
from msgspec import Struct

FORMAT = 1
"""Of everything here; another one is refused."""


class Order(Struct, frozen=True, forbid_unknown_fields=True):
    """What was asked for. A run that is resumed was asked for the same."""

    run_id: str
    model: str
    version: str
    """A number: aliases are resolved before."""
    digest: str
    """Of all that the version is made of: model.yaml, hooks, artifacts."""
    input: str
    """URI, without credentials."""
    output: str
    where: str | None = None
    columns: dict[str, list[str]] = {}
    """Columns by model input, after model.yaml and the command line."""
    passthrough: tuple[str, ...] = ()
    """Columns that go to the output as they are, in front."""
    skip_corrupt: bool = False
    part_rows: int = 1_000_000
    max_rejects: float = 0.01
    """Share of the rows; more, and nothing is published."""


class InputFile(Struct, frozen=True):
    path: str
    """Below the input, with its Hive folders."""
    size: int
    tag: str
    """`xxh128:…` of its bytes, or `etag:…` where the storage keeps one."""
    row_groups: tuple[int, ...]
    """Rows of each."""
    changed: float = 0.0
    """When it was last written or put there, epoch seconds: a hint that the tag need not be computed again."""

    @property
    def rows(self) -> int:
        return sum(self.row_groups)


class Skipped(Struct, frozen=True):
    """A file that could not be read, with --skip-corrupt."""

    path: str
    why: str


class Piece(Struct, frozen=True):
    """Row groups of one file, in order."""

    file: int
    """Place in the plan's files."""
    row_groups: tuple[int, ...]


class PartPlan(Struct, frozen=True):
    """What one file of the output is made of: always the same rows, cut into the same batches."""

    number: int
    folder: str
    """Hive folders, of its inputs and of the output; empty at the top."""
    pieces: tuple[Piece, ...]
    rows: int
    """Before the filter."""


class Plan(Struct, frozen=True):
    order: Order
    files: tuple[InputFile, ...]
    parts: tuple[PartPlan, ...]
    skipped: tuple[Skipped, ...] = ()
    partitions: dict[str, str] = {}
    """Types of the Hive folders' columns, by name, as Arrow writes them: of all folders of the input."""
    format: int = FORMAT

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


class StoredFile(Struct, frozen=True):
    """A file that is written, whole and durable, and not yet seen by readers of the output."""

    path: str
    """Below the output."""
    size: int
    sha256: str
    rows: int = 0
    handle: dict[str, Any] = {}
    """The storage's own: what it needs to make it visible."""


class PartDone(Struct, frozen=True):
    number: int
    file: StoredFile | None
    """None: no row of it was scored, each was filtered out or rejected."""
    rejects: StoredFile | None = None
    read: int = 0
    """Rows that the filter left."""
    seconds: float = 0.0
    skipped: tuple[Skipped, ...] = ()
    """Row groups that could not be read, with --skip-corrupt."""


class Column(Struct, frozen=True):
    name: str
    type: str
    """As Arrow writes it."""


class Published(Struct, frozen=True):
    """A file of the output, as readers find it."""

    path: str
    rows: int
    size: int
    sha256: str


class Manifest(Struct, frozen=True):
    """`_forebay/<run-id>.json`: names every file of the output; what it does not name is not of the output."""

    order: Order
    schema: tuple[Column, ...]
    parts: tuple[Published, ...]
    rejects: tuple[Published, ...]
    inputs: tuple[InputFile, ...]
    skipped: tuple[Skipped, ...]
    rows: int
    """Scored."""
    rejected: int
    began: str
    """UTC, ISO 8601; of the first attempt."""
    finished: str
    seconds: float
    """Of all attempts together, at work."""
    attempts: int
    forebay: str
    """Version that wrote it."""
    format: int = FORMAT


class Pointer(Struct, frozen=True):
    """`_forebay/current.json`: which manifest is the output's."""

    run_id: str
    manifest: str
    """Below the output."""
    fence: int = 0
    """Of the lock under which it was published: no two publications have the same pointer."""
    format: int = FORMAT


encode = msgspec.json.Encoder(order="deterministic").encode
