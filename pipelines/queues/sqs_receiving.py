"""The threads that receive: several calls in flight, for one brings at most ten; each reserves its room before it asks."""

import threading
from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Struct

from pipelines.queues.sqs_calls import Calls, change
from pipelines.queues.sqs_inbox import Arrival, Inbox, Receipt
from pipelines.queues.sqs_messages import SYSTEM_ATTRIBUTES, decode
from pipelines.sqs.errors import RAISED
from pipelines.sqs.losses import Losses
from pipelines.sqs.queues import name_of

PAUSE_S = (0.25, 5.0)
"""After a receive that failed: at first, at most."""
_LOOK_S = 1.0


class Plan(Struct, frozen=True):
    queue: str
    """URL."""
    visibility: int
    """Seconds that a received message is invisible to others."""
    wait: int = 1
    """Seconds of long polling."""
    receivers: int = 4


class Receiving:
    def __init__(self, calls: Calls, plan: Plan, inbox: Inbox, chance: Random, losses: Losses) -> None:
        self._calls = calls
        self._losses = losses
        self._plan = plan
        self._name = name_of(plan.queue)
        self._inbox = inbox
        self._chance = chance
        self._stopping = threading.Event()
        self.on_arrival: Callable[[], None] = lambda: None
        self._threads = [calls.threads.make(f"receive-{number}", self._loop) for number in range(plan.receivers)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, within: float) -> None:
        """What a receive that is still under way brings later is given back."""
        self._stopping.set()
        self._inbox.wake()
        until = self._calls.monotonic() + within
        for thread in filter(threading.Thread.is_alive, self._threads):
            thread.join(max(0.0, until - self._calls.monotonic()))

    def _loop(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            room = self._inbox.reserve(_LOOK_S)
            if not room:
                continue
            got = None if self._stopping.is_set() else self._receive(room)
            if self._stopping.is_set() or got is None:
                self._inbox.put([], room)
                self._give_back(got or [])
                failures += 1
                self._stopping.wait(self._pause(failures))
                continue
            failures = 0
            self._inbox.put(got, room)
            if got:
                self.on_arrival()

    def _receive(self, room: int) -> list[Arrival] | None:
        """None: SQS did not answer, or refused."""
        try:
            answer = self._calls.client.receive_message(
                QueueUrl=self._plan.queue,
                MaxNumberOfMessages=room,
                VisibilityTimeout=self._plan.visibility,
                WaitTimeSeconds=self._plan.wait,
                MessageSystemAttributeNames=SYSTEM_ATTRIBUTES,
                MessageAttributeNames=("All",),
            )
        except RAISED as fault:
            told = self._calls.presence.failed("receive", fault, f"queue {self._name!r}")
            self._losses.failed(self._name, told)
            return None
        self._calls.presence.answered("receive")
        self._losses.answered(self._name)
        return arrivals(answer, self._plan.queue, self._calls.monotonic())

    def _give_back(self, got: list[Arrival]) -> None:
        if got:
            change(self._calls, [arrival.receipt for arrival in got], 0)

    def _pause(self, failures: int) -> float:
        first, most = PAUSE_S
        return self._chance.uniform(0.5, 1.0) * min(most, first * 2.0 ** min(failures - 1, 16))


def arrivals(answer: Any, queue: str, now: float, given_up: int = 0) -> list[Arrival]:
    """What one receive brought. `given_up`: see `decode`."""
    source = name_of(queue)
    return [
        Arrival(
            Receipt(queue, received["ReceiptHandle"], now),
            decode(received, source, given_up),
            len(received["Body"]),
            now,
        )
        for received in answer.get("Messages") or ()
    ]
