"""Uploads become objects."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from pipelines.scoring.faults import StorageFault
from pipelines.scoring.storage.port import Held
from pipelines.scoring.storage.s3.layout import Handle, handle_of
from pipelines.scoring.storage.s3.objects import Objects
from pipelines.scoring.storage.s3.parts import etags, is_complete
from schemas.scoring import StoredFile

AT_ONCE = 8


def complete(objects: Objects, held: Held, files: Sequence[StoredFile], again: bool) -> None:
    """All of them; those that are complete already stay as they are. `again`: some may be, so look first. Raises
    LockLost, StorageFault."""

    def one(file: StoredFile) -> None:
        held.check()
        handle = handle_of(file)
        if not (again and is_complete(objects, file.path, handle)):
            _complete(objects, file, handle)

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="forebay-complete") as pool:
        # On a fault `map` cancels what has not begun.
        for _ in pool.map(one, files):
            pass


def _complete(objects: Objects, file: StoredFile, handle: Handle) -> None:
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(handle.etags, 1)]
    with objects.told():
        try:
            objects.client.complete_multipart_upload(
                **objects.key(file.path), UploadId=handle.upload,
                MultipartUpload={"Parts": parts},  # type: ignore[typeddict-item]  # the stub wants its own TypedDict
            )  # fmt: skip
        except ClientError as fault:
            if is_complete(objects, file.path, handle):  # the answer to a first try was lost
                return
            if etags(objects, file.path, handle.upload) is None:
                raise StorageFault(
                    f"output {objects.at}: the upload of {file.path} is gone (does a rule of the bucket abort uploads?):"
                    " start the same command again"
                ) from fault
            raise
