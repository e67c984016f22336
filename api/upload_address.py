"""Addresses that uploads are put to: signed, so that whoever has one needs no key, and only for a time."""

import hashlib
import hmac
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

from api.http import CLOSE
from api.problems import Problem

_NAMES = ("tenant", "expires", "size", "signature")


class UploadAddress(Struct, frozen=True):
    tenant: str
    upload: str
    expires: int
    """Epoch seconds."""
    size: int | None
    """Bytes, exactly."""

    def signed(self, secret: bytes) -> str:
        """Relative to the API."""
        query = {**self._parts(), "signature": self._signature(secret)}
        return f"/uploads/{self.upload}?{urlencode(query)}"

    def check_time(self, now: float) -> None:
        """Raises the Problem 403 when it has expired."""
        if now > self.expires:
            raise _refused("the address has expired: ask for another one")

    def _signature(self, secret: bytes) -> str:
        said = "\n".join(("PUT", self.upload, *self._parts().values()))
        return hmac.new(secret, said.encode(), hashlib.sha256).hexdigest()

    def _parts(self) -> dict[str, str]:
        return {
            "tenant": self.tenant,
            "expires": str(self.expires),
            "size": "" if self.size is None else str(self.size),
        }


def verified(upload: str, query: bytes, secret: bytes, now: float) -> UploadAddress:
    """What was signed. Raises the Problem 403; `now` in epoch seconds."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=8)
        given = dict(pairs)
        tenant, expires, size, signature = (given[name] for name in _NAMES)
        address = UploadAddress(tenant, upload, int(expires), int(size) if size else None)
    except (ValueError, KeyError):
        raise _refused("expected the address as POST /uploads gave it") from None
    if len(pairs) != len(_NAMES) or not hmac.compare_digest(signature.encode(), address._signature(secret).encode()):
        raise _refused("expected the address as POST /uploads gave it")
    address.check_time(now)
    return address


def _refused(detail: str) -> Problem:
    return Problem(403, "upload-refused", detail, headers=(CLOSE,))
