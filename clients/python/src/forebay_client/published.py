"""What a scoring run published, by its manifest: the files of one run, whole, whatever else lies beside them."""

import json
from collections.abc import Callable
from typing import Any, TypeVar

from forebay_client.errors import ForebayError, NotPublished
from forebay_client.hive import partitions_of
from forebay_client.locating import Place, failed, place_of

T = TypeVar("T")

FORMAT = 1
"""Of pointers and manifests."""
LOOKS = 5
"""How often an output may be replaced while somebody looks at it."""
_POINTER = "_forebay/current.json"


def dataset(uri: str) -> Any:
    """A `pyarrow.dataset.Dataset` of exactly the files that the output's manifest names: one run, whole, also while another
    one replaces it. `uri` is what `forebay score --output` was given: a folder, or `s3://bucket/prefix?endpoint=…&region=…`.
    Hive folders below the output are columns. It needs pyarrow: `pip install 'forebay-client[dataset]'`.

    The files are opened when they are read. Once the output was replaced they are gone, and reading raises
    FileNotFoundError: call this again. Raises NotPublished when nothing is published there, and ForebayError."""
    try:
        import pyarrow.dataset  # noqa: F401
    except ImportError:
        raise ForebayError("pyarrow is not installed: pip install 'forebay-client[dataset]'") from None
    place = place_of(uri)
    return _settled(place, lambda pointer: _opened(place, pointer))


def _settled(place: Place, look: Callable[[dict[str, Any]], T]) -> T:
    """What `look` makes of the pointer, from the beginning if the output was replaced meanwhile."""
    before: dict[str, Any] = {}
    for _ in range(LOOKS):
        pointer = _pointer(place)
        if pointer == before:
            break
        try:
            return look(pointer)
        except FileNotFoundError as gone:
            before, missing = pointer, gone
    raise ForebayError(f"{place.name}: a file of what is published is missing: {' '.join(str(missing).split())}")


def _pointer(place: Place) -> dict[str, Any]:
    try:
        return _decoded(place, place.read(_POINTER), "manifest")
    except FileNotFoundError:
        raise NotPublished(f"{place.name}: nothing is published there") from None


def _opened(place: Place, pointer: dict[str, Any]) -> Any:
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    manifest = _decoded(place, place.read(str(pointer["manifest"])), "parts")
    paths = [str(part["path"]) for part in manifest["parts"]]
    try:
        folders = partitions_of(paths, pq.read_schema(place.at(paths[0]), filesystem=place.filesystem))
        return ds.dataset(
            [place.at(path) for path in paths], format="parquet", filesystem=place.filesystem,
            partitioning=ds.partitioning(folders, flavor="hive"), partition_base_dir=place.root,
        )  # fmt: skip
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as fault:  # Arrow's own, of a file that is no Parquet, is a ValueError
        raise failed(place.name, fault) from None


def _decoded(place: Place, data: bytes, key: str) -> dict[str, Any]:
    """A pointer or a manifest, which has this key."""
    try:
        found = json.loads(data)
        known = found["format"] == FORMAT and bool(found[key])
    except (ValueError, KeyError, TypeError):
        known = False
    if not known:
        raise ForebayError(f"{place.name}: {_POINTER} or its manifest is not one that this client knows: is it newer?")
    return dict(found)
