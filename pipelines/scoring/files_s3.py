"""An input in S3, or in what speaks its protocol."""

from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from pipelines.s3.address import S3Address
from pipelines.s3.connecting import RAISED as NOT_CONNECTED
from pipelines.s3.connecting import Bounds, connect
from pipelines.s3.errors import RAISED, told
from pipelines.scoring.dataset import Listed, one_line
from pipelines.scoring.faults import BadInput

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

GUIDE = "docs/how-to/score.md"
CONNECT_S, REQUEST_S = 5.0, 30.0
_ATTEMPTS = 4


class S3Files:
    """See `pipelines.scoring.dataset.Files`. Listed by AWS's SDK, which tells each object's ETag, and read by Arrow's own
    client."""

    remote = True

    def __init__(self, at: S3Address) -> None:
        self.name = str(at)
        self._at = at
        try:
            self._client: S3Client = connect(at, Bounds(read_s=REQUEST_S))
            self._arrow = _arrow(at)
        except (*NOT_CONNECTED, pa.ArrowException, OSError) as fault:
            raise BadInput(f"{self.name}: {one_line(fault)}") from fault

    def listed(self) -> list[Listed]:
        try:
            found = self._list(f"{self._at.prefix}/" if self._at.prefix else "")
            return found or self._single()
        except RAISED as fault:
            raise BadInput(f"{self.name}: {told(fault, self._at, GUIDE)}") from fault

    def open(self, path: str) -> pa.NativeFile:
        try:
            try:
                return self._opened(self._at.prefix, path)
            except FileNotFoundError:
                folder, _, name = self._at.prefix.rpartition("/")
                if name != path:
                    raise
                return self._opened(folder, name)  # the address is an object's own
        except (pa.ArrowException, OSError) as fault:
            raise BadInput(f"{self.name}: {path}: {one_line(fault)}") from fault

    def _opened(self, *key: str) -> pa.NativeFile:
        return self._arrow.open_input_file("/".join(filter(None, (self._at.bucket, *key))))

    def tag(self, file: Listed) -> str:
        return file.tag

    def close(self) -> None:
        self._client.close()

    def _list(self, below: str) -> list[Listed]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._at.bucket, Prefix=below)
        return [
            _listed(each["Key"][len(below) :], each["Size"], each["LastModified"], each["ETag"])
            for page in pages
            for each in page.get("Contents", ())
            if not each["Key"].endswith("/")
        ]

    def _single(self) -> list[Listed]:
        """The address may be an object's own."""
        pages = self._client.list_objects_v2(Bucket=self._at.bucket, Prefix=self._at.prefix, MaxKeys=1)
        for each in pages.get("Contents", ()):
            if each["Key"] == self._at.prefix:
                name = self._at.prefix.rpartition("/")[2]
                return [_listed(name, each["Size"], each["LastModified"], each["ETag"])]
        raise BadInput(f"{self.name}: nothing is there")


def _listed(path: str, size: int, changed: datetime, etag: str) -> Listed:
    return Listed(path, size, changed.timestamp(), "etag:" + etag.strip('"'))


def _arrow(at: S3Address) -> pafs.S3FileSystem:
    given = {} if at.endpoint is None else _endpoint(at.endpoint)
    if at.region is not None:
        given["region"] = at.region
    return pafs.S3FileSystem(
        connect_timeout=CONNECT_S, request_timeout=REQUEST_S,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=_ATTEMPTS), **given,
    )  # fmt: skip


def _endpoint(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    return {"endpoint_override": parts.netloc, "scheme": parts.scheme}
