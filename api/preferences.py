"""What a request asks for beside its body: how long to wait, its idempotency key, its trace."""

import re

from api.http import Headers
from api.problems import Header, bad_request

_WAIT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")


def wait_seconds(text: str, most: float) -> float:
    """Seconds, cut to `most`; 400 on anything but a number from 0."""
    if not _WAIT.fullmatch(text):
        raise bad_request("expected wait to be a number of seconds from 0", "wait")
    return min(float(text), most)


def preferred_wait(headers: Headers, most: float) -> float | None:
    """`Prefer: wait=N` (RFC 7240, 4.3); None without one. Preferences that we do not know are ignored."""
    prefer = headers.get(b"prefer")
    if prefer is None:
        return None
    for part in prefer.decode("latin-1").split(","):
        name, _, value = part.split(";")[0].partition("=")
        if name.strip().lower() == "wait":
            return wait_seconds(value.strip().strip('"'), most)
    return None


def applied(wait: float) -> Header:
    return (b"preference-applied", b"wait=%s" % f"{wait:g}".encode())


def idempotency_key(headers: Headers) -> str | None:
    key = headers.get(b"idempotency-key")
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise bad_request("expected Idempotency-Key to be 1 to 255 visible ASCII characters", "idempotency-key")
    return key.decode()
