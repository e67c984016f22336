"""One attempt at a scoring run, as the lead of a run makes it; also a process of its own, that dies where it is told."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence

import msgspec

from pipelines.scoring.faults import ScoreFault
from pipelines.scoring.storage.opening import open_storage
from pipelines.scoring.storage.port import Held, Storage
from schemas.scoring import Manifest, Order, Published, StoredFile

SHARED = {"a.parquet": b"the same in every run"}


def order(run_id: str) -> Order:
    return Order(run_id, "digits", "1", "sha256:0", "file:///in", "file:///out")


def manifest(run_id: str, files: Sequence[StoredFile | Published], seconds: float = 1.0) -> Manifest:
    parts = tuple(Published(file.path, file.rows, file.size, file.sha256) for file in files)
    return Manifest(
        order=order(run_id), schema=(), parts=parts, rejects=(), inputs=(), skipped=(),
        rows=sum(file.rows for file in parts), rejected=0, began="2026-11-20T00:00:00+00:00",
        finished="2026-11-20T00:01:00+00:00", seconds=seconds, attempts=1, forebay="0",
    )  # fmt: skip


def contents(run_id: str, count: int = 2) -> dict[str, bytes]:
    """By path: the same for every attempt of a run."""
    return {f"dt=2026-11-20/part-{n}-{run_id}.parquet": f"{run_id} {n} ".encode() * 1000 for n in range(count)}


def write(storage: Storage, run_id: str, path: str, data: bytes) -> StoredFile:
    part = storage.run(run_id)[1].begin(path)
    half = len(data) // 2
    part.write(data[:half])
    part.write(data[half:])
    return part.finish(rows=len(data))


def make(storage: Storage, held: Held, run_id: str, wanted: Mapping[str, bytes]) -> list[StoredFile]:
    """Each part once, as far as the records know."""
    records, parts = storage.run(run_id)
    files = []
    for number, (path, data) in enumerate(wanted.items()):
        known = records.get(f"parts/{number}.json")
        file = None if known is None else msgspec.json.decode(known, type=StoredFile)
        if file is None or not parts.holds(file):
            file = write(storage, run_id, path, data)
            held.check()
            records.put(f"parts/{number}.json", msgspec.json.encode(file))
        files.append(file)
    return files


def attempt(
    storage: Storage,
    run_id: str,
    overwrite: bool = False,
    wanted: Mapping[str, bytes] | None = None,
    tell: Callable[[str], None] = lambda line: None,
    holding: Callable[[Held], None] = lambda held: None,
) -> None:
    held = storage.lock(run_id, f"process {os.getpid()}", tell)
    holding(held)
    files = make(storage, held, run_id, contents(run_id) if wanted is None else wanted)
    storage.publish(held, manifest(run_id, files), files, (), overwrite)
    storage.forget(run_id)
    held.release()


def main(uri: str, run_id: str, deadly: str) -> None:
    def failpoint(step: str) -> None:
        if step == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    storage = open_storage(uri, failpoint)
    with contextlib.closing(storage):
        try:
            attempt(storage, run_id, overwrite=True)
        except ScoreFault as fault:
            print(type(fault).__name__, fault)


if __name__ == "__main__":
    main(*sys.argv[1:])
