"""Where payloads are: a folder, or `s3://<bucket>/<prefix>?endpoint=…&region=…`."""

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

_EXPECTED = "expected a folder or s3://bucket/prefix?endpoint=…&region=…"
_ADDRESS = re.compile(r"s3://([^/?#]*)(?:/([^?#]*))?(?:\?([^#]*))?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"(?:[A-Za-z0-9_.=-]+/)*[A-Za-z0-9_.=-]+")
_REGION = re.compile(r"[a-z0-9-]{1,63}")


class BucketAddress(Struct, frozen=True):
    bucket: str
    prefix: str
    """Without a slash at its ends; may be empty."""
    endpoint: str | None
    region: str | None


def parse(given: str) -> Path | BucketAddress:
    """Raises ValueError, one line, which never shows a password."""
    if not given or "\0" in given:
        raise ValueError(_EXPECTED)
    if "://" not in given:
        return Path(given)
    found = _ADDRESS.fullmatch(given)
    if found is None:
        raise ValueError(_EXPECTED)
    bucket, prefix = found[1], (found[2] or "").strip("/")
    if "@" in bucket:
        raise ValueError(
            "no credentials here; they come as AWS's SDK finds them: variables, a profile, the machine's role"
        )
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(f"bucket {bucket!r}: {_EXPECTED}")
    if prefix and (not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/"))):
        raise ValueError(f"prefix {prefix!r}: expected letters, digits, '_', '.', '=' or '-' between slashes")
    return BucketAddress(bucket, prefix, *_options(found[3] or ""))


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
