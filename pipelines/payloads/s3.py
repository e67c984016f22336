"""Payloads in a bucket of S3, or of what speaks its protocol."""

import base64
import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from pipelines.payloads import keys
from pipelines.payloads.port import Found, PayloadMissing, PayloadsAway, Presigned, checked, of_size
from pipelines.s3 import connecting
from pipelines.s3.address import S3Address

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

MOST_AT_ONCE = 1000
"""Keys of one DeleteObjects or ListObjectsV2."""
_NOT_THERE = frozenset({"NoSuchKey", "404", "NotFound"})


def connect(at: S3Address) -> "S3Client":
    """Raises PayloadsAway."""
    try:
        # Three attempts while heartbeats keep the leases.
        return connecting.connect(at, connecting.Bounds())
    except connecting.RAISED as fault:
        raise PayloadsAway(f"payloads {at}: {_one_line(fault)}") from fault


class S3Payloads:
    """See `pipelines.payloads.port`: Payloads, Shelf, Uploads and Place."""

    def __init__(self, client: "S3Client", at: S3Address, store: str, now: Callable[[], float] = time.time) -> None:
        """`store`: whose payloads these are. `now`: epoch seconds."""
        self._client = client
        self._bucket = at.bucket
        self._below = f"{at.prefix}/{store}/" if at.prefix else f"{store}/"
        self._now = now
        self.place = str(at)

    def put(self, key: str, data: bytes) -> None:
        with self._told(key):
            self._client.put_object(Bucket=self._bucket, Key=self._name(key), Body=data)

    def get(self, key: str, size: int | None = None) -> bytes:
        with self._told(key):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._name(key))
            with contextlib.closing(answer["Body"]) as body:
                of_size(key, size, answer["ContentLength"], self.place)
                data = body.read()
        return checked(key, keys.digest_of(key), data, hashlib.sha256(data).hexdigest(), self.place)

    def remove(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), MOST_AT_ONCE):
            self._remove(keys[start : start + MOST_AT_ONCE])

    def older(self, age: float) -> Iterator[list[str]]:
        before = self._now() - age
        with self._told("of all"):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._below)
            for page in pages:
                listed = page.get("Contents", ())
                yield [each["Key"][len(self._below) :] for each in listed if each["LastModified"].timestamp() <= before]

    def found(self, key: str) -> Found | None:
        try:
            with self._told(key):
                head = self._client.head_object(Bucket=self._bucket, Key=self._name(key))
        except PayloadMissing:
            return None
        return Found(head["ContentLength"], max(0.0, self._now() - head["LastModified"].timestamp()))

    def presign(self, key: str, size: int | None, seconds: float) -> Presigned | None:
        # If-None-Match: an upload is written once, and stays what the job was submitted with.
        given: dict[str, Any] = {"Bucket": self._bucket, "Key": self._name(key), "IfNoneMatch": "*"}
        headers = {"If-None-Match": "*"}
        if size is not None:
            given["ContentLength"] = size
            headers["Content-Length"] = str(size)
        digest = keys.digest_of(key)
        if digest is not None:
            given["ChecksumSHA256"] = headers["x-amz-checksum-sha256"] = base64.b64encode(
                bytes.fromhex(digest)
            ).decode()
        with self._told(key):
            url = self._client.generate_presigned_url("put_object", Params=given, ExpiresIn=int(seconds))
        return Presigned(url, headers)

    def look(self) -> None:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as fault:
            raise PayloadsAway(f"payloads: {self.place}: {_refusal(fault)}") from fault
        except (BotoCoreError, OSError) as fault:
            raise PayloadsAway(f"payloads: {self.place}: {_one_line(fault)}") from fault

    def _remove(self, keys: Sequence[str]) -> None:
        named = [{"Key": self._name(key)} for key in keys]
        with self._told(f"{keys[0]} and {len(keys) - 1} more"):
            answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": named, "Quiet": True})  # type: ignore[typeddict-item]  # the stub wants its own TypedDict
        if faults := answer.get("Errors"):
            first = faults[0]
            raise PayloadsAway(
                f"payloads {self.place}: {len(faults)} not removed: {first.get('Code')}: {first.get('Message')}"
            )

    def _name(self, key: str) -> str:
        return self._below + keys.check(key)

    @contextlib.contextmanager
    def _told(self, key: str) -> Iterator[None]:
        try:
            yield
        except ClientError as fault:
            if fault.response.get("Error", {}).get("Code") in _NOT_THERE:
                raise PayloadMissing(f"payload {key}: not in {self.place}") from None
            raise PayloadsAway(f"payload {key}: {self.place}: {_one_line(fault)}") from fault
        except (BotoCoreError, OSError) as fault:
            raise PayloadsAway(f"payload {key}: {self.place}: {_one_line(fault)}") from fault


def _refusal(fault: ClientError) -> str:
    """Of a HeadBucket, whose answers have no body and so no text."""
    match fault.response.get("Error", {}).get("Code"):
        case "404" | "NoSuchBucket":
            return "there is no such bucket"
        case "403" | "AccessDenied":
            return "the credentials are refused, or lack the permission s3:ListBucket"
        case _:
            return _one_line(fault)


def _one_line(fault: BaseException) -> str:
    return " ".join(str(fault).split()) or type(fault).__name__
