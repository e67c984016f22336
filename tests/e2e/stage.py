"""What a scenario plays on: a model, a store with its audit, a history of the clients, and processes."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.e2e import checker, probe
from tests.e2e.checker import Expected
from tests.e2e.history import History, read
from tests.e2e.processes import Forebay, Place, eventually, place
from tests.e2e.rows import Row, Rows


class Ground(Struct, frozen=True):
    """What the processes stand on."""

    store: str | None
    """None: SQLite under home."""
    queue: str = "store"
    redis: str = ""

    @property
    def settings(self) -> dict[str, str]:
        return {"QUEUE": self.queue, "REDIS": self.redis}

    @property
    def within(self) -> float:
        """Seconds until everything is at rest: on a broker partitions of the dead move when their session ends."""
        return 20.0 if self.queue == "store" else 50.0


class Stage(Struct, frozen=True):
    place: Place
    rows: Rows
    history: History
    model: Path
    """The model's folder."""

    def serve(self, **settings: str) -> tuple[Forebay, Forebay]:
        """An API and a worker, both ready; they start side by side."""
        api, worker = self.place.start("api", **settings), self.place.start("worker", **settings)
        return api.ready(), worker.ready()

    def rest(self, within: float) -> None:
        """Wait until no job is queued or running."""
        eventually(lambda: self.rows.open() == 0, within, self.rows.told, every=0.1)

    def check(self, expected: Expected | None = None) -> list[Row]:
        """The rows at rest; fails with the first violations of the invariants."""
        rows = self.rows.all()
        found = checker.violations(read(self.history.path), rows, self.rows.steps(), expected or {}, probe.f)
        assert not found, f"{len(found)} violations, of {len(rows)} rows:\n" + "\n".join(found[:20])
        return rows

    def runs(self) -> list[tuple[int, int]]:
        """(pid, n) of every run of the model, warm-up left out."""
        return [(pid, n) for pid, n in probe.runs(self.model) if n != 0]


@contextmanager
def stage(store: str | None, model: Mapping[str, Any] | None = None, **settings: str) -> Iterator[Stage]:
    """`store`: None for SQLite under home. `model`: see probe.write. `settings`: by upper-case name."""
    folder = Path(tempfile.mkdtemp(prefix="fb-"))
    history = History(folder / "history.jsonl")
    try:
        written = probe.write(folder / "models", **(model or {}))
        with place(folder, folder / "models", store, **settings) as there:
            rows = Rows(there.store)
            try:
                yield Stage(there, rows, history, written)
            finally:
                rows.close()
    finally:
        history.close()
        shutil.rmtree(folder, ignore_errors=True)
