"""Which input an address means."""

import os
from pathlib import Path

from pipelines.s3 import address
from pipelines.scoring.dataset import Files
from pipelines.scoring.faults import BadOrder
from pipelines.scoring.files_local import LocalFiles

_EXPECTED = f"a folder, a file, or {address.EXPECTED}"


def open_files(uri: str) -> Files:
    """Raises BadInput, BadOrder, one line."""
    if "://" not in uri:
        return LocalFiles(Path(os.path.abspath(uri)))
    if uri.startswith("file:///"):
        return LocalFiles(Path(uri.removeprefix("file://")))
    try:
        at = address.parse(uri, _EXPECTED)
    except ValueError as fault:
        raise BadOrder(f"input: {fault}") from None
    try:
        from pipelines.scoring.files_s3 import S3Files
    except ImportError as missing:
        raise BadOrder("input: S3's client is not installed: pip install 'forebay[s3]'") from missing
    return S3Files(at)
