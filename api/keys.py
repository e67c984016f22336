"""API keys: who is asking."""

import hashlib
import hmac
from collections.abc import Mapping

from starlette.types import Scope

from api.problems import Problem
from schemas.jobs import DEFAULT_TENANT

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
UPLOADS = "/uploads/"
TENANT = "forebay.tenant"
"""Where in the ASGI scope the tenant is."""


class Keys:
    def __init__(self, tenants: Mapping[str, str]) -> None:
        self._tenants = [(bytes.fromhex(digest), tenant) for digest, tenant in tenants.items()]

    def identify(self, scope: Scope) -> None:
        """Put the tenant into the scope; 401 without a valid key."""
        scope[TENANT] = self._tenant(scope) if self._tenants and not _is_open(scope) else DEFAULT_TENANT

    def _tenant(self, scope: Scope) -> str:
        key = _key(scope)
        digest = hashlib.sha256(key).digest() if key else b""
        found = None
        for known, tenant in self._tenants:  # all of them, always: the time taken tells nothing
            if hmac.compare_digest(known, digest):
                found = tenant
        if found is None:
            raise Problem(
                401,
                "unauthorized",
                "expected an API key in Authorization: Bearer <key> or X-API-Key",
                headers=((b"www-authenticate", b'Bearer realm="forebay"'),),
            )
        return found


def _is_open(scope: Scope) -> bool:
    """An upload's address is signed: whoever was given it needs no key."""
    path: str = scope["path"]
    return path in OPEN_PATHS or (scope["method"] == "PUT" and path.startswith(UPLOADS))


def _key(scope: Scope) -> bytes | None:
    headers = dict(scope["headers"])
    if plain := headers.get(b"x-api-key"):
        return bytes(plain).strip()
    scheme, _, token = bytes(headers.get(b"authorization", b"")).partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else None
