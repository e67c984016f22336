"""Columns that are named by folders, `dt=2026-11-20/part.parquet`."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_NULL = "__HIVE_DEFAULT_PARTITION__"


def partitions_of(paths: Iterable[str], columns: Any) -> Any:
    """The `pyarrow.schema` of the columns that folders name: numbers where every value is one, text otherwise. A column that
    is in the files too has their type, by their schema `columns`."""
    import pyarrow as pa

    found: dict[str, list[str]] = {}
    for path in paths:
        for folder in path.split("/")[:-1]:
            name, equals, value = folder.partition("=")
            if name and equals:
                found.setdefault(unquote(name), []).extend([] if value == _NULL else [unquote(value)])
    return pa.schema(
        [
            columns.field(name) if name in columns.names else pa.field(name, _type_of(values))
            for name, values in found.items()
        ]
    )


def _type_of(values: list[str]) -> Any:
    import pyarrow as pa

    return pa.int64() if values and all(map(_NUMBER.fullmatch, values)) else pa.string()
