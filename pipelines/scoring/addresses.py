"""Where an input or an output is: a folder (an input may be a file), or a prefix in S3."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.s3 import address
from pipelines.s3.address import S3Address
from pipelines.scoring.faults import BadOrder

_EXPECTED = f"a folder, file:///folder or {address.EXPECTED}"


def parse(uri: str, what: str) -> Path | S3Address:
    """`what`: `input` or `output`, for the message. Raises BadOrder, one line, which never shows a password."""
    if not uri or "\0" in uri:
        raise BadOrder(f"{what}: expected {_EXPECTED}")
    if "://" not in uri:
        return Path(uri)
    if uri.startswith("file://"):
        return _folder(uri, what)
    try:
        return address.parse(uri, _EXPECTED)
    except ValueError as fault:
        raise BadOrder(f"{what}: {fault}") from None


def without_s3(what: str) -> BadOrder:
    """S3's client is missing."""
    return BadOrder(f"{what}: S3's client is not installed: pip install 'forebay[s3]'")


def _folder(uri: str, what: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise BadOrder(f"{what}: expected file:///folder, of this machine: '?' and '#' in it as %3F and %23")
    return Path(unquote(parts.path))
