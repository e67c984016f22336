"""Queues and an outlet on one queue of a real SQS server, for tests."""

import random
import time
import uuid
from typing import Any

from pipelines.ports import Queue
from pipelines.queues.sqs_calls import Calls, tens
from pipelines.queues.sqs_dead import DeadQueue
from pipelines.queues.sqs_inbox import Inbox, Limit
from pipelines.queues.sqs_outlet import SqsOutlet
from pipelines.queues.sqs_queue import SqsQueue
from pipelines.queues.sqs_receiving import Plan, Receiving
from pipelines.queues.sqs_settling import Settling
from pipelines.queues.sqs_tending import Tending
from pipelines.queues.strangers import Adopt, Keep, Strangers
from pipelines.sqs.client import Sqs
from pipelines.sqs.daemons import Daemons
from pipelines.sqs.losses import Losses
from pipelines.sqs.names import Named
from pipelines.sqs.presence import Presence
from schemas.strays import Stray
from tests.services.sqs_server import SqsServer

ROOMY = Limit(1000, 1 << 20)


class Noting:
    """A client that remembers what it handed out, so that a test can end its visibility."""

    def __init__(self, client: Sqs) -> None:
        self.client = client
        self.handles: list[tuple[str, str]] = []
        """URL and receipt handle."""

    def receive_message(self, **asked: Any) -> Any:
        answer = self.client.receive_message(**asked)
        self.handles += [(asked["QueueUrl"], each["ReceiptHandle"]) for each in answer.get("Messages") or ()]
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)


class SqsSide:
    def __init__(self, server: SqsServer, url: str, visibility: int = 30) -> None:
        self.server = server
        self.url = url
        self.visibility = visibility
        self.kept: list[Stray] = []
        self.told: list[str] = []
        self.ahead = 0.0
        self.losses = Losses(lambda queue: [queue], lambda: time.monotonic() + self.ahead)
        self.outlet = self.sender()
        self._open: dict[Queue, Noting] = {}

    def sender(self, client: Sqs | None = None, patience: float = 15.0) -> SqsOutlet:
        named = Named(self.url.rpartition("/")[2])
        return SqsOutlet(
            client or self.server.lean,
            lambda model: named,
            lambda: uuid.uuid4().hex,
            Presence(self.told.append),
            self.losses,
            4,
            patience,
        )

    def receiver(
        self,
        client: Sqs | None = None,
        limit: Limit = ROOMY,
        keep: Keep | None = None,
        adopt: Adopt = lambda directs: [],
        dead: DeadQueue | None = None,
    ) -> SqsQueue:
        noting = Noting(client or self.server.lean)
        plan = Plan(self.url, self.visibility, wait=1, receivers=4)
        calls = Calls(noting, Presence(self.told.append), time.monotonic, Daemons(plan.receivers, "test-sqs"))
        inbox = Inbox(limit, plan.receivers, time.monotonic)
        queue = SqsQueue(
            calls, plan, inbox, Receiving(calls, plan, inbox, random.Random(7), self.losses),
            Settling(calls, plan.receivers, self.told.append), Tending(calls, plan, inbox, dead),
            Strangers(keep or self.kept.extend, adopt),
        )  # fmt: skip
        queue.open(lambda: None)
        self._open[queue] = noting
        return queue

    def crash(self, queue: Queue) -> None:
        """It ends; what was settled is deleted, and what it still held is visible again, as when its time was over."""
        assert isinstance(queue, SqsQueue)
        noting = self._open.pop(queue)
        queue.close(within=0.05)  # a receive that is under way gives back what it brings
        for batch in tens(noting.handles):
            entries = [
                {"Id": str(place), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                for place, (_, handle) in enumerate(batch)
            ]
            self.server.client.change_message_visibility_batch(QueueUrl=self.url, Entries=entries)

    def close(self) -> None:
        for queue in list(self._open):
            self.crash(queue)
        self.outlet.close()
