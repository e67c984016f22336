"""What clients saw: one JSON line per event, in a file outside of what gets killed.

Every submission leaves `invoke` before it is sent, then exactly one of `ok` (202), `refused` (4xx: it has no effect) or
`unknown` (no answer, or a 5xx: it may have an effect). A look at a job leaves `seen`.
"""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Literal

import msgspec
from msgspec import Struct

What = Literal["invoke", "ok", "refused", "unknown", "seen"]


class Event(Struct, frozen=True, omit_defaults=True):
    what: What
    key: str | None = None
    """The idempotency key."""
    n: int | None = None
    """The item's number, and kind: what the answer is computed from."""
    kind: int = 0
    id: str | None = None
    status: str | None = None
    attempt: int = 0
    generation: int = 0
    result: int | None = None


class History:
    """Written by many threads, flushed line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[bytes] = path.open("ab")
        self._lock = threading.Lock()

    def add(self, event: Event) -> None:
        line = msgspec.json.encode(event) + b"\n"
        with self._lock:
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> list[Event]:
    return decoded(path.read_bytes().splitlines())


def decoded(lines: Iterable[bytes]) -> list[Event]:
    decode = msgspec.json.Decoder(Event).decode
    return [decode(line) for line in lines]
