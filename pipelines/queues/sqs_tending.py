"""What goes on beside: what waits stays invisible, how much lies in the queue is looked up, dead letters are drained."""

import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias

from pipelines.queues.sqs_calls import Calls, set_visibility
from pipelines.queues.sqs_dead import DeadQueue, receive_dead
from pipelines.queues.sqs_inbox import Inbox, Receipt
from pipelines.queues.sqs_receiving import Plan
from pipelines.sqs.faults import SqsFault
from pipelines.sqs.queues import attributes_of, name_of

DEPTH_EVERY_S = 15.0
DRAIN_EVERY_S = 10.0
"""The dead-letter queue is looked at so often; at every step while it brings something."""
OTHERS_EVERY_S = 300.0
"""The same where other queues' messages lie in it, and none of ours was found."""
MOST_LOOKS = 10
"""Receives on end that bring none of ours: what they brought is kept from the next one, and then given back."""
GIVES_BACK_WITHIN_S = 5.0
_STATES = {
    "ApproximateNumberOfMessages": "visible",
    "ApproximateNumberOfMessagesNotVisible": "in_flight",
    "ApproximateNumberOfMessagesDelayed": "delayed",
}

Depth: TypeAlias = Mapping[tuple[str, str], int]
"""Messages by queue and state."""


class Tending:
    """A thread for what is slow, and one for what must not wait for it."""

    def __init__(self, calls: Calls, plan: Plan, inbox: Inbox, dead: DeadQueue | None) -> None:
        self._calls = calls
        self._plan = plan
        self._inbox = inbox
        self._dead = dead
        self._stopping = threading.Event()
        self._depth_at = self._drain_at = float("-inf")
        self._threads = [
            calls.threads.make("keep", lambda: self._repeat(self.keep_fresh)),
            calls.threads.make("tend", lambda: self._repeat(self.look)),
        ]
        self.on_arrival: Callable[[], None] = lambda: None
        self.depth: Depth = {}
        """Made anew every 15 s, never changed."""

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self, within: float) -> None:
        self._stopping.set()
        until = self._calls.monotonic() + within
        for thread in filter(threading.Thread.is_alive, self._threads):
            thread.join(max(0.0, until - self._calls.monotonic()))

    def look(self) -> None:
        now = self._calls.monotonic()
        if now - self._drain_at >= DRAIN_EVERY_S:
            self._drain(now)
        if now - self._depth_at >= DEPTH_EVERY_S:
            self._depth_at = now
            self._look_at_depth()

    def keep_fresh(self) -> None:
        """What waits for an intake that is busy stays ours; what waits for one that is stuck is let go."""
        now, lease = self._calls.monotonic(), self._plan.visibility
        ageing = self._inbox.older(now - lease / 4)
        if not ageing:
            return
        kept = set()
        if now - self._inbox.asked < lease:
            kept = set_visibility(self._calls, [arrival.receipt for arrival in ageing], lease, lease / 4)
            for arrival in ageing:
                arrival.fresh = now if arrival.receipt in kept else arrival.fresh
        limit = now - lease / 2
        self._inbox.drop(lambda arrival: arrival.fresh < limit)

    def _repeat(self, step: Callable[[], None]) -> None:
        every = min(1.0, self._plan.visibility / 8)
        while not self._stopping.wait(every):
            step()

    def _drain(self, now: float) -> None:
        """Only while the intake asks, and when what came before is gone."""
        if self._dead is None or not self._inbox.demanded(now):
            return
        others: list[Receipt] = []
        for _ in range(MOST_LOOKS):
            found = receive_dead(self._calls, self._dead, self._plan.visibility)
            others += found.others
            if found.ours or not found.others:
                break
        if others:
            set_visibility(self._calls, others, 0, GIVES_BACK_WITHIN_S)
        if found.ours:
            self._inbox.add(found.ours)
            self.on_arrival()
        else:  # each look counts as a receive of what is not ours
            self._drain_at = now + (OTHERS_EVERY_S - DRAIN_EVERY_S if others else 0.0)

    def _look_at_depth(self) -> None:
        depth: dict[tuple[str, str], int] = {}
        for url in [self._plan.queue, *([self._dead.url] if self._dead is not None else [])]:
            try:
                found = attributes_of(self._calls.client, url, tuple(_STATES))
            except SqsFault:  # told by the threads that receive
                continue
            depth |= {(name_of(url), state): int(found.get(attribute, 0)) for attribute, state in _STATES.items()}
        self.depth = depth
