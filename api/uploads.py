"""POST /uploads, and PUT /uploads/{id} where the API itself takes them: inputs that should not pass through a submission."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from starlette.types import Receive, Scope, Send

from api.admission import parsed
from api.bodies import encode
from api.calls import PAYLOADS, Bounds, Calls
from api.deps import Large, Limits
from api.http import CLOSE, check_media, headers_of, read_body, respond, too_large
from api.keys import TENANT, UPLOADS
from api.problems import Problem
from api.rates import Rates
from api.turns import Turns
from api.upload_address import UploadAddress, verified
from api.upload_receiving import UploadReceiver
from pipelines.payloads import keys
from pipelines.payloads.port import Presigned, Receiving

_THREADS = 8
_MOST, _OF_ONE_TENANT = 64, 32
"""Uploads that this process takes at once; each has a file open and a chunk in memory."""


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /uploads."""

    size: Annotated[int, Meta(ge=1)] | None = None
    """Bytes; what is uploaded must then have exactly so many."""
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None
    """In hex; what is uploaded must then have it."""


class UploadBody(Struct, frozen=True):
    upload_id: str
    url: str
    """Relative to the API where it begins with a slash."""
    method: str
    headers: dict[str, str]
    """To be sent with it, as they are."""
    expires_at: datetime
    """Of the address."""
    inputs_ref: str
    """What to submit instead of `inputs`."""


class Uploaded(Struct, frozen=True):
    upload_id: str
    size: int


decode = msgspec.json.Decoder(Wanted).decode


class Uploading:
    """Belongs to the event loop."""

    def __init__(
        self,
        large: Large | None,
        limits: Limits,
        rates: Rates,
        clock: Callable[[], float],
        random_bits: Callable[[int], int],
    ) -> None:
        self._large = large
        self._rates = rates
        self._limits = limits
        self._clock = clock
        self._random_bits = random_bits
        within = 10.0 if large is None else large.within
        self._carry = Calls(PAYLOADS, Bounds(_THREADS, 4 * _MOST, within, limits.waiting_bytes))
        self._secret: bytes | None = None
        self._take = UploadReceiver(self._carry, limits.pace, clock)
        self._turns = Turns("uploads", _MOST, _OF_ONE_TENANT, within=0)
        self._open: set[UploadAddress] = set()
        """What is being put right now."""

    async def begin(self, scope: Scope, receive: Receive, send: Send) -> int:
        large = self._there()
        headers = headers_of(scope)
        check_media(headers)
        tenant = scope[TENANT]
        wanted = parsed(decode, await read_body(headers, receive, self._limits.body) or b"{}")
        if wanted.size is not None and wanted.size > large.max_upload:
            raise Problem(413, "too-large", f"expected at most {large.max_upload} bytes", field="size")
        await self._rates.take(tenant, 1)
        upload = keys.new_upload(self._random_bits, wanted.sha256)
        expires = self._clock() + large.upload_within
        signed = await self._presigned(large, UploadAddress(tenant, upload, int(expires), wanted.size))
        until = datetime.fromtimestamp(int(expires), UTC)
        body = UploadBody(upload, signed.url, "PUT", dict(signed.headers), until, upload)
        await respond(send, 201, encode(body))
        return 201

    async def put(self, scope: Scope, receive: Receive, send: Send) -> int:
        large = self._there()
        if large.receiving is None:
            raise Problem(404, "no-uploads", "uploads go to the address that POST /uploads gives")
        secret = await self._secret_of(large.receiving)
        address = verified(scope["path"][len(UPLOADS) :], scope["query_string"], secret, self._clock())
        limit = large.max_upload if address.size is None else address.size
        length = headers_of(scope).get(b"content-length")
        if length is not None and (not length.isdigit() or len(length) > 18 or int(length) > limit):
            raise too_large(limit)
        with self._alone(address):
            async with self._turns.of(address.tenant):
                size = await self._take(large.receiving, address, receive, limit)
        await respond(send, 200, encode(Uploaded(address.upload, size)))
        return 200

    def stop(self) -> None:
        self._carry.stop()

    @contextmanager
    def _alone(self, address: UploadAddress) -> Iterator[None]:
        if address in self._open:
            detail = "another request is putting to this address: wait for its answer, or ask for another address"
            raise Problem(409, "upload-under-way", detail, headers=(CLOSE,))
        self._open.add(address)
        try:
            yield
        finally:
            self._open.remove(address)

    def _there(self) -> Large:
        if self._large is None:
            raise Problem(404, "no-uploads", "no uploads are set up here (FOREBAY_PAYLOADS)")
        return self._large

    async def _presigned(self, large: Large, address: UploadAddress) -> Presigned:
        key = keys.of_upload(address.tenant, address.upload)
        # On a thread: the SDK may fetch credentials for it.
        made = await self._carry(lambda: large.uploads.presign(key, address.size, large.upload_within))
        if made is None:
            assert large.receiving is not None, "uploads go to somewhere"
            made = Presigned(address.signed(await self._secret_of(large.receiving)), {})
        return made

    async def _secret_of(self, receiving: Receiving) -> bytes:
        if self._secret is None:
            self._secret = await self._carry(receiving.secret)
        return self._secret
