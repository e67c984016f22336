"""Where an output lies: an address, as a filesystem of pyarrow and a path in it."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from forebay_client.errors import ForebayError

EXPECTED = "a folder, file:///folder or s3://bucket/prefix?endpoint=…&region=…"
_S3 = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([^?#]*))?(?:\?([^#]*))?")


@dataclass(frozen=True)
class Place:
    name: str
    """As it was given."""
    filesystem: Any
    """A `pyarrow.fs.FileSystem`."""
    root: str
    """Of the output, in that filesystem."""

    def at(self, path: str) -> str:
        return f"{self.root}/{path}"

    def read(self, path: str) -> bytes:
        """A small file below the output. Raises FileNotFoundError, and ForebayError when the storage fails."""
        try:
            with self.filesystem.open_input_stream(self.at(path)) as file:
                return bytes(file.read())
        except FileNotFoundError:
            raise
        except OSError as fault:
            raise failed(self.name, fault) from None


def failed(name: str, fault: Exception) -> ForebayError:
    return ForebayError(f"{name} cannot be read: {' '.join(str(fault).split())}")


def place_of(uri: str) -> Place:
    """Raises ForebayError, one line, for what is no address of an output."""
    if uri.startswith("s3://"):
        return _bucket(uri)
    if uri.startswith("file://"):
        return _folder(uri, _path_of(uri))
    if not uri or "://" in uri or "\0" in uri:
        raise _unexpected(uri)
    return _folder(uri, uri)


def _folder(uri: str, path: str) -> Place:
    from pyarrow import fs

    return Place(uri, fs.LocalFileSystem(), path.rstrip("/") or "/")


def _path_of(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path.startswith("/"):
        raise _unexpected(uri)
    return unquote(parts.path)


def _bucket(uri: str) -> Place:
    """Credentials are found as AWS's SDK finds them: variables, a profile, the machine's role."""
    found = _S3.fullmatch(uri)
    if found is None:
        raise _unexpected(uri)
    bucket, prefix, query = found[1], (found[2] or "").strip("/"), found[3] or ""
    options = dict(parse_qsl(query, keep_blank_values=True))
    if options.keys() - {"endpoint", "region"}:
        raise _unexpected(uri)
    from pyarrow import fs

    return Place(uri, fs.S3FileSystem(**_connecting(options)), f"{bucket}/{prefix}".rstrip("/"))


def _connecting(options: dict[str, str]) -> dict[str, str]:
    """Arguments of pyarrow's S3FileSystem; without a region it looks where AWS's SDK does."""
    given = {"region": options["region"]} if options.get("region") else {}
    if endpoint := options.get("endpoint"):
        scheme, separator, where = endpoint.rstrip("/").partition("://")
        if not separator or scheme not in {"http", "https"} or not where or "/" in where or "@" in where:
            raise ForebayError("endpoint: expected http://host:port or https://host:port, without a user or a path")
        given |= {"scheme": scheme, "endpoint_override": where}
    return given


def _unexpected(uri: str) -> ForebayError:
    """What may hold a password is not shown."""
    shown = "an address with a user in it" if "@" in uri else repr(uri)
    return ForebayError(f"{shown} is no address of an output: expected {EXPECTED}")
