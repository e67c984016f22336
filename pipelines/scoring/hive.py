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

    @classmethod
    def typed(cls, kinds: Mapping[str, str]) -> "Partitions":
        """Of these types, as `kinds` has told them before: they stay what they were, whatever folders have come since."""
        made = cls(())
        made.types = {name: pa.int64() if kind == str(pa.int64()) else pa.string() for name, kind in kinds.items()}
        return made

    @property
    def kinds(self) -> dict[str, str]:
        """Types by name, as Arrow writes them."""
        return {name: str(kind) for name, kind in self.types.items()}

    def row(self, folder: str) -> dict[str, int | str | None]:
        """Of every partition. Raises ValueError for a folder that does not fit the types."""
        values = values_of(folder)
        return {name: self._value(name, values.get(name)) for name in self.types}

    def columns(self, folder: str, rows: int, names: Sequence[str]) -> dict[str, pa.Array]:
        """Of these names, those that are partitions: the value of `folder`, `rows` times."""
        values = values_of(folder)
        return {name: pa.repeat(self._scalar(name, values.get(name)), rows) for name in names if name in self.types}

    def _scalar(self, name: str, value: str | None) -> pa.Scalar:
        return pa.scalar(self._value(name, value), self.types[name])

    def _value(self, name: str, value: str | None) -> int | str | None:
        return int(value) if value is not None and pa.types.is_integer(self.types[name]) else value


def _is_key(folder: str) -> bool:
    name, equals, _ = folder.partition("=")
    return bool(name and equals)
