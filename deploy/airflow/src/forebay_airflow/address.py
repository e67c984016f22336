"""Where Forebay is, and with which key: what a connection of type `forebay` says."""

from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

from forebay_client import ForebayError

RUNS = "/scoring_runs"


class Stored(Protocol):
    """What is read of an Airflow connection."""

    conn_id: str
    host: str | None
    port: int | None
    schema: str | None
    password: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]: ...


class BadConnection(ForebayError):
    """The connection does not say where Forebay is."""


@dataclass(frozen=True)
class Address:
    base_url: str
    key: str | None = field(default=None, repr=False)
    public_url: str | None = None
    """Where people reach it, when that is another place than where workers do, or when a key is needed: a proxy that lets them
    in and adds it."""

    def link(self, run_id: str) -> str:
        """For a browser, which has no key: empty where it would be refused."""
        people = self.public_url or ("" if self.key else self.base_url)
        return people and people + path_of(run_id)


def path_of(run_id: str) -> str:
    return f"{RUNS}/{quote(run_id, safe='')}"


def address_of(stored: Stored) -> Address:
    """`host` is a name, or a whole URL; `schema` is http (default) or https; `password` is the API key."""
    host = (stored.host or "").strip().rstrip("/")
    if not host:
        raise BadConnection(f"connection {stored.conn_id!r} has no host: expected the name or the URL of Forebay's API")
    scheme, given, rest = host.partition("://")
    if not given:
        scheme, rest = stored.schema or "http", host
    if scheme not in {"http", "https"}:
        raise BadConnection(f"connection {stored.conn_id!r} has the schema {scheme!r}: expected http or https")
    where, slash, path = rest.partition("/")
    port = f":{stored.port}" if stored.port else ""
    public = str(stored.extra_dejson.get("public_url") or "").rstrip("/")
    return Address(f"{scheme}://{where}{port}{slash}{path}", stored.password or None, public or None)
