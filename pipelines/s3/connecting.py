"""A client of S3. Every call of it is bounded in time."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError
from msgspec import Struct

from pipelines.s3.address import S3Address

if TYPE_CHECKING:
    from boto3.session import Session
    from types_boto3_s3 import S3Client


class Bounds(Struct, frozen=True):
    connect_s: float = 2.0
    read_s: float = 8.0
    """Between two bytes of an answer."""
    attempts: int = 3
    """In all, with the SDK's backoff in between: half a minute at the most."""
    connections: int = 32


RAISED = (BotoCoreError, ValueError)
"""What `connect` may raise."""


def session() -> "Session":
    """Credentials come as the SDK finds them: variables, profile, or the role of the machine."""
    import boto3

    return boto3.session.Session()


def connect(at: S3Address, bounds: Bounds, within: "Session | None" = None) -> "S3Client":
    """`within`: of a session that has made a client before, another one costs next to nothing."""
    from botocore.config import Config

    # Checksums of the SDK's own choosing are unknown to many that speak S3's protocol, and we keep digests of our own.
    config = Config(
        connect_timeout=bounds.connect_s, read_timeout=bounds.read_s, max_pool_connections=bounds.connections,
        retries={"mode": "standard", "total_max_attempts": bounds.attempts}, signature_version="s3v4",
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
        s3=None if at.endpoint is None else {"addressing_style": "path"},
    )  # fmt: skip
    return (within or session()).client("s3", endpoint_url=at.endpoint, region_name=at.region, config=config)
