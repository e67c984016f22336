"""`s3://<bucket>/<prefix>?endpoint=…&region=…`."""

import re
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

EXPECTED = "s3://bucket/prefix?endpoint=…&region=…"
_ADDRESS = re.compile(r"s3://([^/?#]*)(?:/([^?#]*))?(?:\?([^#]*))?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_.=-]+/)*[A-Za-z0-9_.=-]+")
_REGION = re.compile(r"[a-z0-9-]{1,63}")


class S3Address(Struct, frozen=True):
    bucket: str
    prefix: str = ""
    """Without a slash at its ends."""
    endpoint: str | None = None
    """Of a service that is not AWS."""
    region: str | None = None

    def __str__(self) -> str:
        return f"s3://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")


def parse(given: str, expected: str = EXPECTED) -> S3Address:
    """Raises ValueError, one line, which never shows a password. `expected`: what it says where nothing fits."""
    found = _ADDRESS.fullmatch(given)
    if found is None:
        raise ValueError(f"expected {expected}")
    bucket, prefix = found[1], (found[2] or "").strip("/")
    if "@" in bucket:
        raise ValueError(
            "no credentials here; they come as AWS's SDK finds them: variables, a profile, the machine's role"
        )
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"bucket {bucket!r}: expected {expected}")
    if prefix and (not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/"))):
        raise ValueError(f"prefix {prefix!r}: expected letters, digits, '_', '.', '=' or '-' between slashes")
    return S3Address(bucket, prefix, *_options(found[3] or ""))


def _options(query: str) -> tuple[str | None, str | None]:
    given = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(given.keys() - {"endpoint", "region"}):
        raise ValueError(f"option {unknown[0]!r}: expected endpoint or region")
    endpoint, region = given.get("endpoint"), given.get("region")
    if endpoint is not None and not _is_endpoint(endpoint):
        raise ValueError("endpoint: expected http://host:port or https://host:port, without a user or a path")
    if region is not None and not _REGION.fullmatch(region):
        raise ValueError(f"region {region!r}: expected one such as eu-central-1")
    return endpoint, region


def _is_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = parts.username is None and not parts.query and not parts.fragment and parts.path in ("", "/")
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain and port != 0
