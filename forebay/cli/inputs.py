"""What `forebay submit` reads: one input, or a line each, held to the rules of the API."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Raw, Struct

from forebay.cli.errors import CommandError, Exit
from pipelines.catalog import ModelVersion
from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput
from schemas.jobs import MAX_KEY_CHARS, Submission

STDIN = "-"
_KEY = re.compile(rf"[\x21-\x7e]{{1,{MAX_KEY_CHARS}}}")
_OPTIONS = ("model", "version", "priority", "expires_in", "idempotency_key", "webhook", "metadata")
"""Fields of the API's body. On a line they are refused: ignoring them would be a surprise."""


class Line(Struct, frozen=True):
    place: str
    """For messages: `line 3`."""
    raw: bytes | None
    """None: longer than is allowed."""
    size: int
    """Bytes read for it: for the progress bar."""


class Request(Struct, frozen=True):
    """What all inputs of one command share."""

    tenant: str
    version: str | None
    """As it was asked for."""
    priority: int
    expires_in: float | None
    key: str | None


class Drafter:
    """Makes a submission of a line."""

    def __init__(self, found: ModelVersion, request: Request, new_id: Callable[[], str]) -> None:
        self._found = found
        self._request = request
        self._new_id = new_id
        self._codec = InputCodec(found.spec)
        # A model may have an input that is called `inputs`: then a line is always the input itself.
        self._may_wrap = all(tensor.name != "inputs" for tensor in found.spec.inputs)

    def draft(self, line: Line) -> Submission:
        """Raises InvalidInput: the field, the fault and what was expected."""
        if line.raw is None:
            raise InvalidInput("too long: raise FOREBAY_MAX_BODY")
        inputs = self._inputs(line.raw)
        self._codec.decode(inputs)
        asked = self._request
        return Submission(
            id=self._new_id(),
            tenant=asked.tenant,
            model=self._found.name,
            version=self._found.version,
            inputs=inputs,
            digest=self._digest(inputs),
            idempotency_key=asked.key,
            priority=asked.priority,
            expires_in=asked.expires_in,
            origin="cli",
        )

    def _digest(self, inputs: bytes) -> bytes:
        """Of what was asked for, as it was: an alias that moves in between makes no other request of the same words."""
        asked = self._request
        options = msgspec.json.encode([self._found.name, asked.version, asked.priority, asked.expires_in])
        return sha256(options + inputs).digest()

    def _inputs(self, raw: bytes) -> bytes:
        """The input itself, or what stands under `inputs`."""
        if not self._may_wrap:
            return raw
        try:
            given = msgspec.json.decode(raw, type=dict[str, Raw])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return raw  # the codec says what is wrong with it
        if "inputs" not in given:
            return raw
        for name in _OPTIONS:
            if name in given:
                raise InvalidInput(f"{name}: not on a line, use the option of `forebay submit`, for all of them")
        return bytes(given["inputs"])


def check_key(key: str | None) -> None:
    if key is not None and not _KEY.fullmatch(key):
        raise CommandError(f"--key: expected 1 to {MAX_KEY_CHARS} visible ASCII characters", Exit.USAGE)


@contextmanager
def opened(input: str | None, file: Path | None, most: int) -> Iterator[Iterator[Line]]:
    """The inputs, one by one; of a file only a line at a time is in memory. `most`: bytes of one."""
    if (input is None) == (file is None):
        raise CommandError("give either --input or --file", Exit.USAGE)
    if input is not None:
        raw = input.encode("utf-8", "surrogateescape")
        yield iter([Line("--input", raw if len(raw) <= most else None, len(raw))])
    elif str(file) == STDIN:
        yield lines(sys.stdin.buffer, most)
    else:
        assert file is not None
        with file.open("rb") as stream:
            yield lines(stream, most)


def lines(stream: BinaryIO, most: int) -> Iterator[Line]:
    """Lines that are not empty."""
    number = 0
    while raw := stream.readline(most + 1):
        number += 1
        size = len(raw)
        if size > most and not raw.endswith(b"\n"):
            yield Line(f"line {number}", None, size + _skip(stream))
        elif raw.strip():
            yield Line(f"line {number}", raw.strip(), size)


def _skip(stream: BinaryIO) -> int:
    """To the end of the line."""
    skipped = 0
    while rest := stream.readline(1 << 20):
        skipped += len(rest)
        if rest.endswith(b"\n"):
            break
    return skipped
