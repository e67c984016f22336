"""The asset that a scoring task updates, and what its event says."""

from typing import Any

from airflow.sdk import Asset, AssetAlias


def asset_of(output: str) -> Asset | None:
    """The data set that the output is, or is a partition of: `s3://lake/scores/dt={{ ds }}` is of `s3://lake/scores`. None when
    its name is a template too, and for outputs that hold credentials or name a table, whose asset is the author's to name."""
    if "@" in output or "#" in output or "{%" in output:
        return None
    fixed, templated, _ = output.partition("{{")
    if templated:
        fixed = fixed.rpartition("/")[0]
    scheme, named, rest = fixed.rpartition("://")
    if not rest.strip("/") or (named and not scheme) or (templated and named and "/" not in rest.strip("/")):
        return None
    return Asset(uri=fixed)


def announce(context: Any, outlets: list[Any], output: str, told: dict[str, Any]) -> None:
    """Each asset's event gets `told` as its extra; an alias gets the output itself as an asset."""
    for outlet in outlets:
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra.update(told)
        elif isinstance(outlet, AssetAlias):
            context["outlet_events"][outlet].add(Asset(uri=output), extra=told)
