"""One part on its way: hashed and cut into chunks as it is written, and sent by a few threads meanwhile."""

import contextlib
import hashlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from pipelines.scoring.faults import StorageFault
from pipelines.scoring.storage.port import Failpoint
from pipelines.scoring.storage.s3.layout import Handle
from pipelines.scoring.storage.s3.objects import Objects
from schemas.scoring import StoredFile

CHUNK = 8 << 20
"""Bytes. S3 wants at least 5 MiB, and some that speak its protocol want all of one size."""
SENDERS = 2
WAITING = 2
"""Chunks beyond those being sent: with the one being filled a part takes at most 40 MiB of memory."""
MOST_CHUNKS = 10_000
"""Of one upload, S3's limit: 78 GiB."""


class ObjectPart:
    """See `pipelines.scoring.storage.port.PartFile`."""

    closed = False
    """pyarrow looks at it."""

    def __init__(self, objects: Objects, path: str, upload: str, token: str, note: str, failpoint: Failpoint) -> None:
        self._objects = objects
        self._path = path
        self._upload = upload
        self._token = token
        self._note = note
        self._failpoint = failpoint
        self._digest = hashlib.sha256()
        self._size = 0
        self._chunk = bytearray()
        self._sent: list[Future[str]] = []
        self._room = threading.Semaphore(SENDERS + WAITING)
        self._senders = ThreadPoolExecutor(SENDERS, thread_name_prefix="forebay-upload")
        self._done = False

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        self._size += len(data)
        rest = memoryview(data)
        while len(self._chunk) + len(rest) >= CHUNK:
            fits = CHUNK - len(self._chunk)
            self._chunk += rest[:fits]
            rest = rest[fits:]
            self._send()
        self._chunk += rest
        return len(data)

    def finish(self, rows: int) -> StoredFile:
        if self._chunk or not self._sent:
            self._send()
        self._failpoint("part-written")
        etags = [sent.result() for sent in self._sent]
        self._senders.shutdown()
        self._done = True
        self._failpoint("part-sent")
        handle = msgspec.structs.asdict(Handle(self._upload, etags, self._token))
        return StoredFile(self._path, self._size, self._digest.hexdigest(), rows, handle)

    def discard(self) -> None:
        if self._done:
            return
        self._done = True
        self._senders.shutdown(cancel_futures=True)  # a chunk that comes after the abort would be kept
        abort(self._objects, self._path, self._upload)
        self._objects.remove([self._note])

    def _send(self) -> None:
        """Waits for room. Raises what became of a chunk before."""
        for sent in self._sent:
            if sent.done():
                sent.result()
        if len(self._sent) == MOST_CHUNKS:
            raise StorageFault(
                f"output {self._objects.at}: {self._path} is larger than {MOST_CHUNKS * CHUNK >> 30} GiB:"
                " fewer rows for each part"
            )
        self._room.acquire()
        chunk, self._chunk = bytes(self._chunk), bytearray()
        self._sent.append(self._senders.submit(self._put, len(self._sent) + 1, chunk))

    def _put(self, number: int, chunk: bytes) -> str:
        try:
            with self._objects.told():
                answer = self._objects.client.upload_part(
                    **self._objects.key(self._path), UploadId=self._upload, PartNumber=number, Body=chunk
                )
            self._failpoint("part-chunk")
            return answer["ETag"]
        finally:
            self._room.release()


def abort(objects: Objects, path: str, upload: str) -> None:
    """Nothing when it is completed or aborted already."""
    client = objects.client
    with objects.told(), contextlib.suppress(client.exceptions.NoSuchUpload):
        client.abort_multipart_upload(**objects.key(path), UploadId=upload)
