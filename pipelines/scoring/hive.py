"""Hive partitions: columns that are named by folders, `dt=2026-11-20/part.parquet`."""

import re
from collections.abc import Mapping, Sequence
from urllib.parse import unquote

import pyarrow as pa

NULL = "__HIVE_DEFAULT_PARTITION__"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")


def folder_of(path: str) -> str:
    """The Hive folders that a file lies in, whatever else is in between: those of the output."""
    return "/".join(each for each in path.split("/")[:-1] if _is_key(each))


def values_of(folder: str) -> dict[str, str | None]:
    pairs = (each.split("=", 1) for each in folder.split("/") if each)
    return {unquote(name): None if value == NULL else unquote(value) for name, value in pairs}


class Partitions:
    """The partition columns of a data set: numbers where every value is one, text otherwise."""

    def __init__(self, folders: Sequence[str]) -> None:
        found: dict[str, list[str]] = {}
        for folder in folders:
            for name, value in values_of(folder).items():
                found.setdefault(name, []).extend([] if value is None else [value])
        self.types: Mapping[str, pa.DataType] = {
            name: pa.int64() if values and all(map(_NUMBER.fullmatch, values)) else pa.string()
            for name, values in found.items()
        }

    def columns(self, folder: str, rows: int, names: Sequence[str]) -> dict[str, pa.Array]:
        """Of these names, those that are partitions: the value of `folder`, `rows` times."""
        values = values_of(folder)
        return {name: pa.repeat(self._scalar(name, values.get(name)), rows) for name in names if name in self.types}

    def _scalar(self, name: str, value: str | None) -> pa.Scalar:
        kind = self.types[name]
        return pa.scalar(int(value) if value is not None and pa.types.is_integer(kind) else value, kind)


def _is_key(folder: str) -> bool:
    name, equals, _ = folder.partition("=")
    return bool(name and equals)
