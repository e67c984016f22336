"""Where Redis is: `redis://user:password@host:port/db?prefix=forebay`, or `rediss://` for TLS."""

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct, structs

EXPECTED = "expected redis://[user:password@]host[:port][/db][?prefix=forebay], or rediss:// for TLS"
PREFIX = "forebay"
PORT = 6379
_TLS = frozenset({"ssl_ca_certs", "ssl_ca_path", "ssl_certfile", "ssl_keyfile"})
"""Options of rediss://, by the client's own names: files of this machine. The server's certificate is always checked."""
_PREFIX = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_DB = re.compile(r"/?|/\d{1,5}")


class RedisAddress(Struct, frozen=True):
    host: str
    port: int = PORT
    db: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    files: tuple[tuple[str, str], ...] = ()
    """TLS options."""
    prefix: str = PREFIX
    """Before every key and channel."""

    @classmethod
    def parse(cls, url: str) -> "RedisAddress":
        """Raises ValueError, one line, which never shows a password."""
        parts = _split(url)
        if not _DB.fullmatch(parts.path):
            raise ValueError(f"database: expected a number after the host, {EXPECTED}")
        options = _options(parts)
        prefix = options.pop("prefix", PREFIX)
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("prefix: expected letters, digits, '-', '_' or '.', at most 63")
        return cls(
            host=parts.hostname or "",
            port=parts.port or PORT,
            db=int(parts.path.strip("/") or 0),
            username=None if not parts.username else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
            tls=parts.scheme == "rediss",
            files=tuple(sorted(options.items())),
            prefix=prefix,
        )

    def __str__(self) -> str:
        """For messages: without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __repr__(self) -> str:
        return f"RedisAddress({self})"

    def of(self, store: str) -> "RedisPlace":
        """The part of it that belongs to one store, by the store's identity."""
        return RedisPlace(store=store, **structs.asdict(self))


class RedisPlace(RedisAddress, frozen=True, kw_only=True):
    """An installation's own keys and channels: two on one server do not meet, nor a new store and the one before it."""

    store: str
    """Its identity."""

    def key(self, *parts: str) -> str:
        return ":".join((self.prefix, self.store, *parts))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port  # raises ValueError when it is no number up to 65535
    except ValueError:
        raise ValueError(f"port: expected a number from 1 to 65535, {EXPECTED}") from None
    if parts.scheme not in ("redis", "rediss") or not parts.hostname or port == 0 or parts.fragment:
        raise ValueError(EXPECTED)
    if not parts.netloc.isascii() or any(letter <= " " for letter in unquote(parts.hostname)):
        raise ValueError(f"host: expected a name or an address, {EXPECTED}")
    return parts


def _options(parts: SplitResult) -> dict[str, str]:
    given = parse_qsl(parts.query, keep_blank_values=True)
    allowed = {"prefix"} | (_TLS if parts.scheme == "rediss" else set())
    for name, _ in given:
        if name not in allowed:
            raise ValueError(f"option {name[:40]!r}: expected one of {', '.join(sorted(allowed))}")
    options = dict(given)
    if len(options) != len(given):
        raise ValueError("an option came twice, expected each once")
    return options
