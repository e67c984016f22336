"""Where payloads are: a folder, or `s3://<bucket>/<prefix>?endpoint=…&region=…`."""

from pathlib import Path

from pipelines.s3 import address
from pipelines.s3.address import S3Address

_EXPECTED = f"a folder or {address.EXPECTED}"


def parse(given: str) -> Path | S3Address:
    """Raises ValueError, one line, which never shows a password."""
    if not given or "\0" in given:
        raise ValueError(f"expected {_EXPECTED}")
    if "://" not in given:
        return Path(given)
    return address.parse(given, _EXPECTED)
