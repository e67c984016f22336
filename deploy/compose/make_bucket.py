"""Make the bucket where there is none: `make_bucket.py ENDPOINT BUCKET`. Credentials are those of the SDK's variables."""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

_THERE = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


def make(endpoint: str, bucket: str) -> None:
    config = Config(connect_timeout=3, read_timeout=10, s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config)
    try:
        client.create_bucket(Bucket=bucket)
    except ClientError as fault:
        if fault.response["Error"]["Code"] not in _THERE:
            raise


if __name__ == "__main__":
    make(*sys.argv[1:])
