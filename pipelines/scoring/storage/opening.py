"""Which storage an address means."""

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from pipelines.s3 import address
from pipelines.s3.address import S3Address
from pipelines.scoring.faults import BadOrder
from pipelines.scoring.storage.local.storage import FolderStorage
from pipelines.scoring.storage.port import Failpoint, Storage, nothing

if TYPE_CHECKING:
    from pipelines.scoring.storage.s3.storage import BucketStorage

_EXPECTED = f"a folder, file:///folder or {address.EXPECTED}"


def open_storage(uri: str, failpoint: Failpoint = nothing) -> Storage:
    """Raises BadOrder, StorageFault, one line, which never shows a password."""
    at = parse(uri)
    return FolderStorage(at, failpoint) if isinstance(at, Path) else _bucket(at, failpoint)


def parse(uri: str) -> Path | S3Address:
    """Raises BadOrder."""
    if not uri or "\0" in uri:
        raise BadOrder(f"output: expected {_EXPECTED}")
    if "://" not in uri:
        return Path(uri)
    if uri.startswith("file://"):
        return _folder(uri)
    try:
        return address.parse(uri, _EXPECTED)
    except ValueError as fault:
        raise BadOrder(f"output: {fault}") from None


def _folder(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise BadOrder("output: expected file:///folder, of this machine: '?' and '#' in it as %3F and %23")
    return Path(unquote(parts.path))


def _bucket(at: S3Address, failpoint: Failpoint) -> "BucketStorage":
    try:
        from pipelines.scoring.storage.s3.storage import open_bucket
    except ImportError as missing:
        raise BadOrder("output: S3's client is not installed: pip install 'forebay[s3]'") from missing
    return open_bucket(at, failpoint)
