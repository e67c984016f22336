"""Payloads whose being away is told once, and seen by readiness."""

from collections.abc import Sequence

from pipelines.payloads.port import Found, Incoming, Payloads, Presigned, Receiving, Uploads
from pipelines.payloads.presence import Presence


class WatchedPayloads:
    """See `pipelines.payloads.port.Payloads`."""

    def __init__(self, payloads: Payloads, presence: Presence) -> None:
        self._payloads = payloads
        self._presence = presence

    def put(self, key: str, data: bytes) -> None:
        with self._presence.seen():
            self._payloads.put(key, data)

    def get(self, key: str, size: int | None = None) -> bytes:
        with self._presence.seen():
            return self._payloads.get(key, size)

    def remove(self, keys: Sequence[str]) -> None:
        with self._presence.seen():
            self._payloads.remove(keys)


class WatchedUploads:
    """See `pipelines.payloads.port.Uploads`."""

    def __init__(self, uploads: Uploads, presence: Presence) -> None:
        self._uploads = uploads
        self._presence = presence

    def found(self, key: str) -> Found | None:
        with self._presence.suspected():
            found = self._uploads.found(key)
        if (
            found is not None
        ):  # where the bucket itself is missing, S3 tells of an upload no more than that it is not there
            self._presence.answered()
        return found

    def presign(self, key: str, size: int | None, seconds: float) -> Presigned | None:
        with self._presence.suspected():  # computed here; it fails without credentials
            return self._uploads.presign(key, size, seconds)


class WatchedReceiving:
    """See `pipelines.payloads.port.Receiving`."""

    def __init__(self, receiving: Receiving, presence: Presence) -> None:
        self._receiving = receiving
        self._presence = presence

    def receive(self, key: str) -> Incoming:
        with self._presence.seen():
            return _WatchedIncoming(self._receiving.receive(key), self._presence)

    def secret(self) -> bytes:
        with self._presence.seen():
            return self._receiving.secret()


class _WatchedIncoming:
    def __init__(self, incoming: Incoming, presence: Presence) -> None:
        self._incoming = incoming
        self._presence = presence

    def write(self, chunk: bytes) -> None:
        with self._presence.suspected():
            self._incoming.write(chunk)

    def finish(self) -> bool:
        with self._presence.seen():
            return self._incoming.finish()

    def close(self) -> None:
        self._incoming.close()
