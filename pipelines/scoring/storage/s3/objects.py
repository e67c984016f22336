"""The objects below one prefix: whole, small ones, with the conditions that S3 puts can carry."""

import contextlib
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from msgspec import Struct

from pipelines.s3 import errors
from pipelines.s3.address import S3Address
from pipelines.scoring.faults import StorageFault

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

GUIDE = "docs/how-to/score-storage.md"
_MOST_AT_ONCE = 1000
"""Keys of one DeleteObjects."""
_TRIES = 5
"""Of a put that another one is in the way of."""


class Seen(Struct, frozen=True):
    data: bytes
    etag: str
    age: float | None
    """Seconds since it was written, by the server's own clock, give or take one; None: it does not say."""


class Objects:
    """Paths are below the prefix. Everything raises StorageFault."""

    def __init__(self, client: "S3Client", at: S3Address) -> None:
        self.client = client
        self.at = at
        self._below = f"{at.prefix}/" if at.prefix else ""

    def key(self, path: str) -> dict[str, Any]:
        """As calls of the client take it."""
        return {"Bucket": self.at.bucket, "Key": self._below + path}

    def get(self, path: str) -> Seen | None:
        """None: it is not there."""
        try:
            with self.told(), _absent():
                answer = self.client.get_object(**self.key(path))
                with contextlib.closing(answer["Body"]) as body:
                    return Seen(body.read(), answer["ETag"], _age(answer))
        except _Absent:
            return None

    def metadata(self, path: str) -> dict[str, str] | None:
        """None: it is not there."""
        try:
            with self.told(), _absent():
                return self.client.head_object(**self.key(path))["Metadata"]
        except _Absent:
            return None

    def put(self, path: str, data: bytes) -> str:
        """Its ETag."""
        with self.told():
            return self.client.put_object(**self.key(path), Body=data)["ETag"]

    def put_if(self, path: str, data: bytes, etag: str | None) -> str | None:
        """Only over the object with this ETag; None: only where there is none. Its ETag, or None when it was refused."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        with self.told():
            for left in reversed(range(_TRIES)):
                try:
                    return self.client.put_object(**self.key(path), Body=data, **condition)["ETag"]
                except ClientError as fault:
                    if errors.is_refused(fault):
                        return self._ours(path, data)
                    if not errors.is_conflict(fault) or not left:
                        raise
        return None

    def remove(self, paths: Sequence[str]) -> None:
        """Nothing for those that are not there."""
        for start in range(0, len(paths), _MOST_AT_ONCE):
            named = [{"Key": self.key(path)["Key"]} for path in paths[start : start + _MOST_AT_ONCE]]
            with self.told():
                answer = self.client.delete_objects(Bucket=self.at.bucket, Delete={"Objects": named, "Quiet": True})  # type: ignore[typeddict-item]  # the stub wants its own TypedDict
            if faults := answer.get("Errors"):
                first = faults[0]
                raise StorageFault(
                    f"output {self.at}: {len(faults)} objects not removed: {first.get('Key')}: {first.get('Message')}"
                )

    def listed(self, below: str = "") -> Iterator[str]:
        """Paths of all of them whose paths begin so."""
        with self.told():
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.at.bucket, Prefix=self._below + below
            )
            for page in pages:
                for each in page.get("Contents", ()):
                    yield each["Key"][len(self._below) :]

    def folders(self, below: str) -> list[str]:
        """Names right below it, `below` ending in a slash."""
        prefix = self._below + below
        with self.told():
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.at.bucket, Prefix=prefix, Delimiter="/"
            )
            return [each["Prefix"][len(prefix) : -1] for page in pages for each in page.get("CommonPrefixes", ())]

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except errors.RAISED as fault:
            raise StorageFault(f"output {self.at}: {errors.told(fault, self.at, GUIDE)}") from fault

    def _ours(self, path: str, data: bytes) -> str | None:
        """Refused by ourselves: the answer to a first try was lost, and the client tried again."""
        seen = self.get(path)
        return seen.etag if seen is not None and seen.data == data else None


class _Absent(Exception):
    pass


@contextlib.contextmanager
def _absent() -> Iterator[None]:
    try:
        yield
    except ClientError as fault:
        if errors.is_absent(fault):
            raise _Absent from None
        raise


def _age(answer: Any) -> float | None:
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    if date is None:
        return None
    return float((parsedate_to_datetime(date) - answer["LastModified"]).total_seconds())
