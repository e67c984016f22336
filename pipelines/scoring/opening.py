"""Which input an address means."""

from pathlib import Path

from pipelines.scoring.addresses import parse, without_s3
from pipelines.scoring.dataset import Files
from pipelines.scoring.files_local import LocalFiles


def open_files(uri: str) -> Files:
    """Raises BadInput, BadOrder, one line."""
    at = parse(uri, "input")
    if isinstance(at, Path):
        return LocalFiles(at.absolute())
    try:
        from pipelines.scoring.files_s3 import S3Files
    except ImportError as missing:
        raise without_s3("input") from missing
    return S3Files(at)
