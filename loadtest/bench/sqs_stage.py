"""A null-model worker on SQS beside a loop by hand that receives and deletes: same server, same calls in flight."""

import random
import statistics
import threading
import time
import uuid
from collections.abc import Sequence
from itertools import count
from typing import Any

import boto3
from botocore.config import Config
from botocore.session import get_session
from msgspec import Struct

from forebay.brokers import Wanted
from forebay.sqs_queues import queue_of
from loadtest.bench.path import BATCH, OneModel, Silent, _loaded, _submission
from pipelines.clock import SystemClock
from pipelines.flow.observer import Unobserved
from pipelines.flow.worker import Outside, Plan, Worker
from pipelines.ports import Message
from pipelines.queues import sqs_receiving
from pipelines.queues.sqs_outlet import SqsOutlet
from pipelines.queues.strangers import Strangers
from pipelines.sqs.client import Endpoint, connect, connect_lean
from pipelines.sqs.losses import Losses
from pipelines.sqs.names import Named
from pipelines.sqs.presence import Presence
from pipelines.store.memory import MemoryStore
from schemas.jobs import Submission
from schemas.states import State
from workers.supervisor import Supervisor

LEASE = 30
CREDITS = 4 * BATCH

NO_LOSSES = Losses(lambda queue: (), time.monotonic)


class Rates(Struct, frozen=True):
    """Messages per second, one figure a run."""

    worker: list[float]
    loop: list[float]

    @property
    def ratio(self) -> float:
        return statistics.median(self.worker) / statistics.median(self.loop)


class Stage:
    def __init__(self, endpoint: str, region: str, parallel: int) -> None:
        self._parallel = parallel
        self._core = get_session()
        self._core.set_credentials("bench", "bench")
        self._session = boto3.Session(botocore_session=self._core, region_name=region)
        self._at = Endpoint(region, endpoint)
        self._client = connect(self._at, 4 * parallel, 30.0, self._core)
        self._numbers = count()

    def rates(self, messages: int, runs: int) -> Rates:
        """Both in turn, so that what else the machine does falls on both. Each run has a queue of its own."""
        pairs = [(self.worker(messages), self.loop(messages)) for _ in range(runs)]
        return Rates([worker for worker, _ in pairs], [loop for _, loop in pairs])

    def worker(self, messages: int) -> float:
        """Until every job has its result and its message is deleted. Raises AssertionError when one has none."""
        jobs = self._jobs(messages)
        store = MemoryStore(time.time, broker=True)
        store.submit(jobs)
        url = self._filled(jobs)
        client = connect_lean(self._at, 4 * self._parallel, 30.0, self._core)
        plan = sqs_receiving.Plan(url, LEASE, wait=1, receivers=self._parallel)
        wanted = Wanted(CREDITS, 5, Strangers(store.keep_strays, lambda directs: []))
        queue = queue_of(client, plan, None, wanted, lambda line: None, NO_LOSSES)
        outside = Outside(
            store, queue, OneModel(_loaded()), Silent(), SystemClock(), random.Random(7), Unobserved(), None
        )
        worker = Worker(outside, Plan(LEASE, CREDITS))
        supervisor = Supervisor(worker, Silent(), grace=10.0)
        thread = threading.Thread(target=supervisor.run)
        began = time.perf_counter()
        queue.open(supervisor.wake)
        thread.start()
        self._await_empty(url)
        ended = time.perf_counter()
        supervisor.stop()
        thread.join()
        queue.close()
        succeeded = sum(row.state is State.SUCCEEDED for row in store.rows.values())
        assert succeeded == messages, f"{succeeded} of {messages} jobs have a result"
        self._client.delete_queue(QueueUrl=url)
        return messages / (ended - began)

    def loop(self, messages: int) -> float:
        """boto3 as it comes, a thread for each call in flight: receive, delete, again."""
        url = self._filled(self._jobs(messages))
        config = Config(max_pool_connections=self._parallel)
        client = self._session.client("sqs", endpoint_url=self._at.url, config=config)
        threads = [threading.Thread(target=_receive_and_delete, args=(client, url)) for _ in range(self._parallel)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        self._await_empty(url)
        ended = time.perf_counter()
        for thread in threads:
            thread.join()
        self._client.delete_queue(QueueUrl=url)
        return messages / (ended - began)

    def _jobs(self, messages: int) -> list[Submission]:
        chance = random.Random(7)
        return [_submission(n, chance) for n in range(messages)]

    def _filled(self, jobs: Sequence[Submission]) -> str:
        """The URL of a new queue with a message for each."""
        name = f"bench-{uuid.uuid4().hex[:12]}"
        url = str(self._client.create_queue(QueueName=name)["QueueUrl"])
        outlet = SqsOutlet(
            self._client,
            lambda model: Named(name),
            lambda: uuid.uuid4().hex,
            Presence(lambda line: None),
            NO_LOSSES,
            4,
            patience=120.0,
        )
        assert all(outlet.send([Message(job.id, 0, job.inputs) for job in jobs]))
        outlet.close()
        return url

    def _await_empty(self, url: str) -> None:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        while True:
            found = self._client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            if not any(int(value) for value in found.values()):
                return
            time.sleep(0.02)


def _receive_and_delete(client: Any, url: str) -> None:
    """Until nothing comes."""
    while True:
        answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        messages = answer.get("Messages")
        if not messages:
            return
        entries = [{"Id": str(place), "ReceiptHandle": each["ReceiptHandle"]} for place, each in enumerate(messages)]
        client.delete_message_batch(QueueUrl=url, Entries=entries)
