"""Buckets of the tests' S3."""

import uuid


def fresh_bucket(endpoint: str) -> str:
    """A new, empty one, as FOREBAY_PAYLOADS takes it."""
    from pipelines.payloads.s3 import connect
    from pipelines.s3.address import S3Address

    name = f"forebay-{uuid.uuid4().hex[:16]}"
    client = connect(S3Address(name, endpoint=endpoint, region="us-east-1"))
    try:
        client.create_bucket(Bucket=name)
    finally:
        client.close()
    return f"s3://{name}/payloads?endpoint={endpoint}&region=us-east-1"
