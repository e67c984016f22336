"""W3C Trace Context, as far as a job carries it along."""

import re

_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(value: bytes | None) -> str | None:
    """The value of a `traceparent` header; a malformed one is ignored, as the specification asks."""
    return value.decode() if value is not None and _TRACEPARENT.fullmatch(value) else None
