"""An SQS server that runs, and fresh queues on it."""

import itertools
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

from pipelines.sqs.client import Endpoint, connect_lean
from pipelines.sqs.lean import LeanSqs
from tests.services import elasticmq_jars
from tests.services.elasticmq import ElasticMq
from tests.services.moto_server import ACCESS

REGION = ACCESS["AWS_DEFAULT_REGION"]


class SqsServer:
    """Somebody's running SQS: it is used, and neither stopped nor changed beyond queues of our own."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        """`http://host:port`."""
        self.client: Any = client(endpoint)
        """boto3's."""
        self.lean: LeanSqs = _lean(endpoint)
        """What the queue and the outlet call."""
        self._numbers = itertools.count(1)
        self._made: list[str] = []

    def fresh_name(self, fifo: bool = False) -> str:
        """The name of a queue that is not there."""
        return f"t-{os.getpid()}-{time.time_ns():x}-{next(self._numbers)}{'.fifo' if fifo else ''}"

    def fresh_queue(self, attributes: Mapping[str, str] | None = None, fifo: bool = False) -> str:
        """The URL of a new, empty queue."""
        given = {**({"FifoQueue": "true"} if fifo else {}), **(attributes or {})}
        url = str(self.client.create_queue(QueueName=self.fresh_name(fifo), Attributes=given)["QueueUrl"])
        self._made.append(url)
        return url

    def arn(self, url: str) -> str:
        asked = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(asked["Attributes"]["QueueArn"])

    def count(self, url: str) -> tuple[int, int]:
        """Visible messages, invisible ones."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def address(self, name: str, **options: object) -> str:
        """FOREBAY_QUEUE of this queue."""
        more = "".join(f"&{option}={value}" for option, value in options.items())
        return f"sqs://{name.rpartition('/')[2]}?region={REGION}&endpoint={self.endpoint}{more}"

    def drop(self) -> None:
        """Delete the queues that were made here."""
        for url in self._made:
            with suppress(ClientError):
                self.client.delete_queue(QueueUrl=url)
        self._made = []

    def close(self) -> None:
        self.client.close()
        self.lean.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _lean(endpoint: str) -> LeanSqs:
    session = get_session()
    session.set_credentials(ACCESS["AWS_ACCESS_KEY_ID"], ACCESS["AWS_SECRET_ACCESS_KEY"])
    return connect_lean(Endpoint(REGION, endpoint), 50, 30.0, session)


def client(endpoint: str) -> Any:
    """boto3's, by itself, with credentials of the tests."""
    return boto3.client(
        "sqs", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=ACCESS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=ACCESS["AWS_SECRET_ACCESS_KEY"],
        config=Config(max_pool_connections=50, retries={"total_max_attempts": 2}),
    )  # fmt: skip


@contextmanager
def server() -> Iterator[SqsServer]:
    """The one that FOREBAY_TEST_SQS names, without the queues made here afterwards; else one of our own. Raises
    NoElasticMq."""
    if (endpoint := elasticmq_jars.running()) is None:
        with ElasticMq.start() as own, SqsServer(own.endpoint) as ours:
            yield ours
        return
    with SqsServer(endpoint) as lent:
        try:
            yield lent
        finally:
            lent.drop()
