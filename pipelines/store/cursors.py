"""Opaque cursors of listings: where the next page begins."""

import base64
import binascii
import math
from typing import Any

import msgspec


def encode_cursor(*parts: float) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(parts)).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: type) -> tuple[Any, ...]:
    """`ValueError` on anything that `encode_cursor` did not make of these kinds."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = tuple(msgspec.json.decode(raw, type=tuple[tuple(kinds)]))  # type: ignore[misc]
        if not all(math.isfinite(part) if isinstance(part, float) else abs(part) < 2**63 for part in parts):
            raise ValueError("more than a database takes")
        return parts
    except (binascii.Error, msgspec.MsgspecError, UnicodeError, ValueError) as fault:
        raise ValueError("cursor: not one that a listing gave out") from fault
