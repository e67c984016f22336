"""The claim check of these settings: where what is too large for a row is kept."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from forebay.payloads_address import parse
from forebay.settings import BadSettings, Settings
from pipelines.payloads.folder import FolderPayloads
from pipelines.s3.address import S3Address
from pipelines.store.opening import parse as parse_store
from pipelines.store.port import Store

if TYPE_CHECKING:
    from pipelines.payloads.s3 import S3Payloads

PLACE = "payloads"


def payloads_of(settings: Settings, store: Store) -> "FolderPayloads | S3Payloads | None":
    """None: rows hold everything. Raises PayloadsAway, BadSettings, StoreAway."""
    at = place_of(settings)
    if at is None:
        return None
    identity = store.identity()
    if isinstance(at, Path):
        return FolderPayloads(at, identity, time.time)
    return _bucket(at, identity)


def place_of(settings: Settings) -> Path | S3Address | None:
    """Where they are. By default a folder goes with an SQLite file. With PostgreSQL there is none: workers elsewhere could
    not read a folder of this machine."""
    if settings.payloads is not None:
        at = parse(settings.payloads)
        return at.absolute() if isinstance(at, Path) else at
    if settings.store is None:
        return settings.home.absolute() / PLACE
    store = parse_store(settings.store_url)
    if store.get_backend_name() != "sqlite":
        return None
    file = Path(str(store.database)).absolute()
    return file.with_name(f"{file.name}.{PLACE}")


def _bucket(at: S3Address, identity: str) -> "S3Payloads":
    try:
        from pipelines.payloads.s3 import S3Payloads, connect
    except ImportError as missing:
        raise BadSettings("payloads: S3's client is not installed: pip install 'forebay[s3]'") from missing
    return S3Payloads(connect(at), at, identity, time.time)
