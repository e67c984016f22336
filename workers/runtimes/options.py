"""A runtime's options in model.yaml: known names, right types."""

from collections.abc import Mapping
from typing import Any

from pipelines.catalog import ModelVersion
from workers.errors import BadArtifact

Kinds = Mapping[str, type[int] | type[bool] | type[str]]


def check_options(version: ModelVersion, kinds: Kinds) -> Mapping[str, Any]:
    """The options of this version. Raises BadArtifact naming the first one that is unknown or of another type."""
    where = f"model {version.name} version {version.version}: options"
    for name, value in version.options.items():
        kind = kinds.get(name)
        if kind is None:
            raise BadArtifact(f"{where}.{name}: no such option of {version.runtime}, there are: {', '.join(kinds)}")
        if type(value) is not kind or (type(value) is int and value < 1):
            wanted = {int: "a whole number from 1", bool: "true or false", str: "text"}[kind]
            raise BadArtifact(f"{where}.{name}: expected {wanted}, got {value!r}")
    return version.options
