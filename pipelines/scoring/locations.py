"""Where runs of the service may read and write: below roots that the operator names, and nowhere else.

Checked where a run is submitted and again by the worker right before it runs, for links may change in between.
"""

import os
import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from pipelines.scoring.faults import BadOrder
from pipelines.scoring.storage.postgres import address as table
from pipelines.scoring.storage.postgres.address import SchemaAddress, TableAddress
from schemas.scoring_runs import ScoringRequest

SETTING = "FOREBAY_SCORING_ROOTS"
_EXPECTED = "expected an absolute folder or s3://bucket/prefix"
_TABLE = "postgresql://host:port/database#schema.table"
_OPTIONS = frozenset({"endpoint", "region"})
_TENANT = "{tenant}"
_BUCKET_URI = re.compile(r"s3://([^/?#]*)(?:/([^?#]*))?(?:\?([^#]*))?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")


class LocationRefused(BadOrder):
    """A run may not read or write there."""

    def __init__(self, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.field = field
        """Of the request."""


class Folder(Struct, frozen=True):
    path: str


class Bucket(Struct, frozen=True):
    name: str
    key: str = ""
    """Without slashes at its ends."""
    options: str = ""
    """The query, as given."""

    @property
    def named(self) -> frozenset[tuple[str, str]]:
        return frozenset(parse_qsl(self.options, keep_blank_values=True))

    def __str__(self) -> str:
        query = f"?{self.options}" if self.options else ""
        return f"s3://{self.name}" + (f"/{self.key}" if self.key else "") + query


Place = Folder | Bucket | TableAddress | SchemaAddress


class Locations:
    """Any thread. `roots`: folders, `s3://bucket/prefix?endpoint=…&region=…`, and for outputs that are tables
    `postgresql://user:password@host/database#schema`; `{tenant}` in one stands for who asks."""

    def __init__(self, roots: Sequence[str]) -> None:
        """Raises ValueError, one line."""
        self._roots = tuple(roots)
        for root in roots:
            _root(root, "default")

    def admitted(self, request: ScoringRequest, tenant: str) -> ScoringRequest:
        """The request with its locations as the run is to open them: an S3 root's endpoint and region go along. Raises
        LocationRefused, which names the field and shows no credentials. Follows links, so that it may wait for a disk."""
        if not self._roots:
            raise LocationRefused(f"scoring as a service is off: {SETTING} names no location that runs may use")
        roots = [_root(root, tenant) for root in self._roots]
        source, target = (_parse(uri, field) for uri, field in ((request.input, "input"), (request.output, "output")))
        return replace(request, input=_within(source, roots, "input"), output=_within(target, roots, "output"))


def _root(text: str, tenant: str) -> Place:
    try:
        return _parse(text.replace(_TENANT, tenant), None)
    except LocationRefused as refused:
        shown = "a root with '@' in it" if "@" in text else repr(text)
        raise ValueError(f"{shown}: {refused}") from None


def _parse(uri: str, field: str | None) -> Place:
    if _UNPRINTABLE.search(uri):
        raise LocationRefused(f"control characters in a location; {_EXPECTED}", field)
    if uri.startswith("s3://"):
        return _bucket(uri, field)
    if table.is_table(uri):
        return _table(uri, field)
    if uri.startswith("file:///") and "%" not in uri:
        uri = uri.removeprefix("file://")
    if not uri.startswith("/"):
        raise LocationRefused(_EXPECTED, field)
    _check_segments(uri, field)
    return Folder(uri)


def _table(uri: str, field: str | None) -> TableAddress | SchemaAddress:
    """A root is a schema; what is asked for is a table of one, and brings no credentials."""
    if field == "input":
        raise LocationRefused(f"a table is an output only; {_EXPECTED}", field)
    if field is not None and "@" in uri:
        raise LocationRefused(f"no credentials here: the root has them; expected {_TABLE}", field)
    try:
        at = table.parse_schema(uri) if field is None else table.parse(uri)
    except ValueError as fault:
        raise LocationRefused(str(fault), field) from None
    if isinstance(at, TableAddress) and at.options:
        raise LocationRefused("expected no options but mode and key: the root has them", field)
    return at


def _bucket(uri: str, field: str | None) -> Bucket:
    found = _BUCKET_URI.fullmatch(uri)
    if found is None:
        raise LocationRefused(_EXPECTED, field)
    name, key, options = found[1], (found[2] or "").strip("/"), found[3] or ""
    if "@" in name:
        raise LocationRefused("no credentials here; workers find theirs as AWS's SDK does", field)
    if not _BUCKET.fullmatch(name):
        raise LocationRefused(f"no bucket's name; {_EXPECTED}", field)
    _check_segments(key, field)
    _check_options(options, field)
    return Bucket(name, key, options)


def _check_segments(path: str, field: str | None) -> None:
    """No step up, however it is written: somebody further down may decode once more."""
    decoded = path
    for _ in range(4):
        if {".", ".."} & set(re.split(r"[/\\]", decoded)):
            raise LocationRefused("expected a location without '.' or '..' between slashes", field)
        decoded = unquote(decoded)


def _check_options(options: str, field: str | None) -> None:
    given = parse_qsl(options, keep_blank_values=True)
    names = [name for name, _ in given]
    if len(set(names)) != len(names) or set(names) - _OPTIONS:
        raise LocationRefused("expected no options but endpoint and region, each once", field)
    if not _is_plain_endpoint(dict(given).get("endpoint", "http://host")):
        raise LocationRefused("endpoint: expected http://host:port or https://host:port, without a user", field)


def _is_plain_endpoint(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _within(at: Place, roots: Sequence[Place], field: str) -> str:
    """As the run is to open it."""
    for root in roots:
        found = _below(at, root, itself=field == "input")
        if found is not None:
            return found
    raise LocationRefused(f"outside of the locations that runs may use ({SETTING})", field)


def _below(at: Place, root: Place, itself: bool) -> str | None:
    """None: it is not below the root. The root `itself` is no output: a local one is made beside where it will be."""
    match at, root:
        case Folder(path), Folder(top):
            return path if _is_below(os.path.realpath(path), os.path.realpath(top), itself) else None
        case Bucket(), Bucket():
            # Another endpoint would be sent what this operator's credentials sign.
            same = at.name == root.name and at.named <= root.named
            below = _is_below(f"/{at.key}".rstrip("/") or "/", f"/{root.key}".rstrip("/") or "/", itself)
            return str(replace(at, options=root.options)) if same and below else None
        case TableAddress(), SchemaAddress():
            return replace(at, user=root.user, options=root.options).secret if root.holds(at) else None
        case _:
            return None


def _is_below(path: str, top: str, itself: bool) -> bool:
    return path.startswith(top.rstrip("/") + "/") and path != "/" if path != top else itself
