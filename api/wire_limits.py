"""What a connection may ask of the API before anybody looks at a key."""

from dataclasses import dataclass


@dataclass(frozen=True)
class WireLimits:
    connections: int = 1000
    """Open at once; those beyond are answered 503."""
    spare: int = 64
    """Connections beyond, kept for that answer and for the probes; beyond these too a connection is closed at once."""
    head: int = 64 << 10
    """Bytes of a request line and its headers (431); as many of trailers, or of a chunk's head."""
    url: int = 8 << 10
    """Bytes (414). RFC 9110, 4.1 wants 8,000 at least."""
    headers: int = 100
    """Of one request (431), and as many trailers."""
    ahead: int = 16
    """Requests that wait on one connection behind the one that is being answered (429)."""
    head_s: float = 10.0
    """Seconds from a head's first byte, or from connecting, to its end (408)."""
    body_s: float = 30.0
    """Seconds without a byte of an unfinished body (408), or in which the client takes nothing of an answer."""
