"""Reading one model.yaml: safe YAML, no key twice, strict types, every mistake by its key."""

import json
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.catalog.mistakes import NO_FILE, BadModels, ModelMistake, is_odd
from schemas.model_spec import ModelSpec

MAX_BYTES = 1 << 20
MAX_VALUES = 100_000
"""A few nested YAML aliases make billions of values out of a few lines."""
_repr = reprlib.Repr()


def read_spec(file: Path) -> ModelSpec:
    """Raises BadModels with every mistake in the file."""
    given = _load(file)
    if not isinstance(given, dict):
        raise _bad(file, "", "expected a mapping with name, inputs and outputs")
    try:
        text = json.dumps(_plain(given))
    except (_NotPlain, ValueError, RecursionError) as fault:
        raise _bad(file, "", f"expected text, numbers, lists and mappings: {fault}") from None
    try:
        # Strictly and as JSON: "32" is no number and true is no 1, yet lists are tuples and 30 is a float.
        return ModelSpec.model_validate_json(text, strict=True)
    except ValidationError as fault:
        raise BadModels([_mistake(file, error) for error in fault.errors(include_url=False)]) from None


def _bad(file: Path, key: str, text: str) -> BadModels:
    return BadModels([ModelMistake(str(file), key, text)])


def _load(file: Path) -> Any:
    if is_odd(file):
        raise _bad(file, "", NO_FILE)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise _bad(file, "", f"larger than {MAX_BYTES} bytes")
        with file.open("rb") as stream:
            return yaml.load(stream, Loader=_NoDuplicates)  # a SafeLoader
    except FileNotFoundError:
        raise _bad(file, "", "no such file; every model needs one") from None
    except OSError as fault:
        raise _bad(file, "", str(fault.strerror)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise _bad(file, "", f"not YAML: {' '.join(str(fault).split())}") from None


def _mistake(file: Path, error: Any) -> ModelMistake:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return ModelMistake(str(file), key, "no such key")
    if error["type"] == "missing":
        return ModelMistake(str(file), key, "missing")
    text = " ".join(error["msg"].removeprefix("Value error, ").split())
    return ModelMistake(str(file), key, f"{text}, got {_repr.repr(error['input'])}")


class _NotPlain(Exception):
    """A value that JSON does not have, or too many of them."""


def _plain(value: Any) -> Any:
    """The same with text for keys (`1:` is as good as `"1":`). Raises _NotPlain, RecursionError."""
    return _copy(value, iter(range(MAX_VALUES)), "")


def _copy(value: Any, budget: Iterator[int], where: str) -> Any:
    if next(budget, None) is None:
        raise _NotPlain(f"more than {MAX_VALUES} values")
    if isinstance(value, dict):
        if any(not isinstance(key, str) and type(key) is not int for key in value):
            raise _NotPlain(f"{where or 'the file'} has a key that is neither text nor a number")
        return {str(key): _copy(below, budget, f"{where}.{key}".lstrip(".")) for key, below in value.items()}
    if isinstance(value, list):
        return [_copy(below, budget, f"{where}.{n}") for n, below in enumerate(value)]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise _NotPlain(f"{where} is a {type(value).__name__}; quote it if it is meant as text")


class _NoDuplicates(yaml.SafeLoader):
    """A key given twice is a mistake, not a silent last-one-wins."""


def _mapping(loader: _NoDuplicates, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if isinstance(key, yaml.ScalarNode):
            if (key.tag, key.value) in seen:
                raise ValueError(f"line {key.start_mark.line + 1}: the key {key.value!r} is given twice")
            seen.add((key.tag, key.value))
    return loader.construct_mapping(node, deep=True)


_NoDuplicates.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
