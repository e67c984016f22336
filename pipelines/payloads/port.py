"""Where payloads are: a folder or a bucket. Whoever implements one runs the suite in tests/contract/test_payloads.py.

Keys are made by `pipelines.payloads.keys`. Every method may be called from any thread, waits for a bounded time, and may be
called again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from msgspec import Struct


class PayloadsAway(Exception):
    """They cannot be reached, or take nothing: try again. One line: what, where, what to do."""


class PayloadMissing(Exception):
    """It is not there, or is not what was put. One line: which, where."""


class Payloads(Protocol):
    def put(self, key: str, data: bytes) -> None:
        """Durable when this returns, and whole or not there before. Raises PayloadsAway: the outcome is unknown."""

    def get(self, key: str, size: int | None = None) -> bytes:
        """What was put: held against the digest in its key and, where it is given, against `size` in bytes before it is read.
        Raises PayloadMissing, PayloadsAway."""

    def remove(self, keys: Sequence[str]) -> None:
        """Of any number; those that are not there are none. Raises PayloadsAway with some of them removed."""


class Shelf(Protocol):
    """All that there is, for whoever tidies up."""

    def older(self, age: float) -> Iterator[list[str]]:
        """Keys of what was put more than `age` seconds ago, in pages. Raises PayloadsAway."""


class Place(Protocol):
    """For whoever wants to know whether it is there, and puts nothing."""

    place: str

    def look(self) -> None:
        """Whether it would take payloads, as far as can be told without one. Raises PayloadsAway."""


class Found(Struct, frozen=True):
    size: int
    """Bytes."""
    age: float
    """Seconds since it was put."""


class Presigned(Struct, frozen=True):
    """A request that needs no credentials."""

    url: str
    headers: Mapping[str, str]
    """To be sent as they are."""


class Uploads(Protocol):
    """Payloads that clients put themselves. Each is written once."""

    def found(self, key: str) -> Found | None:
        """None: it is not there. Raises PayloadsAway."""

    def presign(self, key: str, size: int | None, seconds: float) -> Presigned | None:
        """A PUT of this payload, good for so long; of exactly `size` bytes and of the digest in its key where there are such.
        None: clients put to the API, which writes it by `Receiving`."""


class Incoming(Protocol):
    """One upload on its way. Each call may wait for a disk; `close` always comes last, and drops what was not finished."""

    def write(self, chunk: bytes) -> None:
        """Raises PayloadsAway."""

    def finish(self) -> bool:
        """Durable when this returns. False: there was one under this key already, and it stays as it is.
        Raises PayloadMissing when its digest is another than its key's, PayloadsAway."""

    def close(self) -> None: ...


class Receiving(Protocol):
    def receive(self, key: str) -> Incoming:
        """Raises PayloadsAway."""

    def secret(self) -> bytes:
        """Known to every API over these payloads: what upload addresses are signed with. Raises PayloadsAway."""


def checked(key: str, digest: str | None, data: bytes, found: str, place: str) -> bytes:
    """`data`, when its digest `found` (hex) is the key's. Raises PayloadMissing."""
    if digest is not None and digest != found:
        raise PayloadMissing(
            f"payload {key}: {place} holds {len(data)} bytes that are not what was put (sha256 {found})"
        )
    return data


def of_size(key: str, expected: int | None, found: int, place: str) -> None:
    """Raises PayloadMissing."""
    if expected is not None and expected != found:
        raise PayloadMissing(f"payload {key}: {place} holds {found} bytes, expected {expected}")
