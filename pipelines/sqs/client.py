"""SQS's client: one for each process and patience; any thread may call it."""

from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.session import Session, get_session
from msgspec import Struct

from pipelines.sqs.errors import RAISED, fault_of
from pipelines.sqs.faults import SqsRefused
from pipelines.sqs.lean import LeanSqs

MOST = 10
"""Entries of one batch, and messages of one receive."""
MOST_BYTES = 256 * 1024
"""Of bodies and attributes in one batch: a single message may be as large."""
CONNECT_S = 2.0


class Sqs(Protocol):
    """What is used of boto3's client. Each raises botocore's BotoCoreError or ClientError."""

    def get_queue_url(self, **asked: Any) -> Any: ...
    def get_queue_attributes(self, **asked: Any) -> Any: ...
    def receive_message(self, **asked: Any) -> Any: ...
    def send_message_batch(self, **asked: Any) -> Any: ...
    def delete_message_batch(self, **asked: Any) -> Any: ...
    def change_message_visibility_batch(self, **asked: Any) -> Any: ...


class Endpoint(Struct, frozen=True):
    region: str | None = None
    """None: as boto3 finds it."""
    url: str | None = None
    """None: AWS's own in this region."""


def connect(at: Endpoint, connections: int, patience: float, session: Session | None = None) -> Any:
    """boto3's client, with credentials as boto3 finds them. `patience`: seconds that an answer may take.

    Raises SqsRefused without a region. Nothing is asked of SQS yet.
    """
    config = Config(
        connect_timeout=min(CONNECT_S, patience),
        read_timeout=patience,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=connections,
        tcp_keepalive=True,
        parameter_validation=False,  # what is sent here is right; checking it takes a third of a call's time
    )
    made = boto3.Session(botocore_session=session or get_session())
    if not (region := at.region or made.region_name):
        raise SqsRefused("sqs: no region: add ?region=… to FOREBAY_QUEUE, or set AWS_DEFAULT_REGION")
    try:
        return made.client("sqs", region_name=region, endpoint_url=at.url, config=config)
    except RAISED as fault:
        raise fault_of(fault, "client") from fault
    except ValueError as fault:  # an endpoint that is none
        raise SqsRefused(f"sqs: endpoint {at.url!r}, region {region!r}: {fault}") from fault


def connect_lean(at: Endpoint, connections: int, patience: float, session: Session | None = None) -> LeanSqs:
    """The same for what is called for each batch."""
    session = session or get_session()
    return LeanSqs(connect(at, connections, patience, session), session)
