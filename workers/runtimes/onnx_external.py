"""Where an ONNX file keeps its external data: read from the file itself, before ONNX Runtime opens anything.

External data is named inside the model, so a model may name any file of the machine. Newer ONNX Runtimes refuse what
leads out of the model's folder; this holds for all of them. The file is walked by the protobuf wire format with the
field numbers of onnx.proto3; tensors' contents are skipped, not read.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from workers.artifacts import inside
from workers.errors import BadArtifact

_Bytes: TypeAlias = mmap.mmap | bytes

# Message: field → message of that field. onnx.proto3, names as there.
_MESSAGES: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
}
_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}
_MOST_DEPTH = 64


def check_external_data(path: Path, folder: Path) -> None:
    """Raises BadArtifact when the file is no protobuf, or its data lies outside of the version's folder."""
    if path.stat().st_size == 0:
        raise BadArtifact(f"{path}: empty, expected an ONNX model")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            locations = set(_locations(data, 0, len(data), "Model", 0))
        except (IndexError, ValueError):
            raise BadArtifact(f"{path}: damaged, expected an ONNX model") from None
    for location in sorted(locations):
        below = path.parent.relative_to(folder)
        inside(folder, location if location.startswith("/") else str(below / location))


def _locations(data: _Bytes, start: int, end: int, message: str, depth: int) -> Iterator[str]:
    if depth > _MOST_DEPTH:
        raise ValueError("nested too deep")
    known = _MESSAGES[message]
    for field, begin, stop in _fields(data, start, end):
        below = known.get(field)
        if below == "Entry":
            entry = {number: bytes(data[a:b]) for number, a, b in _fields(data, begin, stop)}
            if entry.get(1) == b"location":
                yield entry.get(2, b"").decode("utf-8")
        elif below is not None:
            yield from _locations(data, begin, stop, below, depth + 1)


def _fields(data: _Bytes, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of each length-delimited field. Raises ValueError or IndexError for what is no protobuf."""
    while place < end:
        key, place = _varint(data, place)
        kind = key & 7
        if kind == _LENGTH_DELIMITED:
            size, place = _varint(data, place)
            if place + size > end:
                raise ValueError("cut short")
            yield key >> 3, place, place + size
            place += size
        elif kind == 0:
            _, place = _varint(data, place)
        elif kind in _FIXED:
            place += _FIXED[kind]
        else:
            raise ValueError(f"wire type {kind}")
    if place != end:
        raise ValueError("cut short")


def _varint(data: _Bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("varint too long")
