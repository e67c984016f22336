"""Parts, as multipart uploads that nobody sees before they are completed."""

from collections.abc import Callable

import msgspec
from botocore.exceptions import ClientError

from pipelines.s3 import errors
from pipelines.scoring.storage.naming import checked_path
from pipelines.scoring.storage.port import Failpoint
from pipelines.scoring.storage.s3.layout import Handle, Run, Upload, handle_of
from pipelines.scoring.storage.s3.objects import Objects
from pipelines.scoring.storage.s3.upload import ObjectPart
from schemas.scoring import StoredFile

TOKEN = "forebay-part"
"""Of an object's metadata."""


class ObjectParts:
    """See `pipelines.scoring.storage.port.Parts`."""

    def __init__(self, objects: Objects, run: Run, token: Callable[[], str], failpoint: Failpoint) -> None:
        self._objects = objects
        self._run = run
        self._token = token
        self._failpoint = failpoint

    def begin(self, path: str) -> ObjectPart:
        token, key = self._token(), self._objects.key(checked_path(path))
        with self._objects.told():
            upload = self._objects.client.create_multipart_upload(**key, Metadata={TOKEN: token})["UploadId"]
        self._failpoint("part-begun")
        note = self._run.upload(upload)
        self._objects.put(note, msgspec.json.encode(Upload(path, upload)))
        self._failpoint("part-noted")
        return ObjectPart(self._objects, path, upload, token, note, self._failpoint)

    def holds(self, file: StoredFile) -> bool:
        handle = handle_of(file)
        found = etags(self._objects, file.path, handle.upload)
        if found is None:
            return is_complete(self._objects, file.path, handle)
        return found == handle.etags


def etags(objects: Objects, path: str, upload: str) -> list[str] | None:
    """Of an upload's chunks. None: there is no such upload any more."""
    with objects.told():
        pages = objects.client.get_paginator("list_parts").paginate(**objects.key(path), UploadId=upload)
        try:
            return [part["ETag"] for page in pages for part in page.get("Parts", ())]
        except ClientError as fault:
            if errors.code_of(fault) == "NoSuchUpload":
                return None
            raise


def is_complete(objects: Objects, path: str, handle: Handle) -> bool:
    """Whether this upload's object is there."""
    metadata = objects.metadata(path)
    return metadata is not None and metadata.get(TOKEN) == handle.token
