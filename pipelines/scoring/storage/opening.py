"""Which storage an address means."""

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.s3.address import S3Address
from pipelines.scoring.addresses import parse, without_s3
from pipelines.scoring.faults import BadOrder
from pipelines.scoring.storage.local.storage import FolderStorage
from pipelines.scoring.storage.port import Failpoint, Storage, nothing
from pipelines.scoring.storage.postgres import address as table
from pipelines.scoring.storage.postgres.address import is_table

if TYPE_CHECKING:
    from pipelines.scoring.storage.postgres.storage import TableStorage
    from pipelines.scoring.storage.s3.storage import BucketStorage


def open_storage(uri: str, failpoint: Failpoint = nothing) -> Storage:
    """Raises BadOrder, StorageFault, one line, which never shows a password."""
    if is_table(uri):
        return _table(uri, failpoint)
    at = parse(uri, "output")
    return FolderStorage(at, failpoint) if isinstance(at, Path) else _bucket(at, failpoint)


def _bucket(at: S3Address, failpoint: Failpoint) -> "BucketStorage":
    try:
        from pipelines.scoring.storage.s3.storage import open_bucket
    except ImportError as missing:
        raise without_s3("output") from missing
    return open_bucket(at, failpoint)


def _table(uri: str, failpoint: Failpoint) -> "TableStorage":
    try:
        at = table.parse(uri)
    except ValueError as fault:
        raise BadOrder(f"output: {fault}") from None
    try:
        from pipelines.scoring.storage.postgres.storage import TableStorage
    except ImportError as missing:
        raise BadOrder("output: PostgreSQL's client is not installed: pip install 'psycopg[binary]'") from missing
    return TableStorage(at, failpoint)
