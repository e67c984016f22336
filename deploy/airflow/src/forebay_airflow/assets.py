"""The asset that a scoring task updates, and what its event says."""

import re
from typing import Any

from airflow.sdk import Asset, AssetAlias

_FOLDER = re.compile(r"([a-z][a-z0-9+.-]*://[^/]*/|/)?[^/:]+(/[^/]*)*")
"""More than a scheme, a bucket or a root."""


def asset_of(output: str) -> Asset | None:
    """The data set that the output is, or is a partition of: `s3://lake/scores/dt={{ ds }}` is of `s3://lake/scores`. None when
    its name is a template too, and for outputs that hold credentials or name a table, whose asset is the author's to name."""
    fixed, templated, _ = output.partition("{{")
    if templated:
        fixed = fixed.rpartition("/")[0]
    if any(mark in output for mark in ("@", "#", "{%")) or not _FOLDER.fullmatch(fixed):
        return None
    return Asset(uri=fixed)


def announce(context: Any, outlets: list[Any], output: str, told: dict[str, Any]) -> None:
    """Each asset's event gets `told` as its extra; an alias gets the output itself as an asset."""
    for outlet in outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update(told)
        elif isinstance(outlet, AssetAlias):
            context["outlet_events"][outlet].add(Asset(uri=output), extra=told)
