"""A client of SQS that does to every call what SQS and the network may do: single entries of batches fail, answers are lost
after the work was done, messages come twice, in another order, and late."""

import random
import threading
from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ReadTimeoutError
from msgspec import Struct

from pipelines.sqs.client import Sqs


class Faults(Struct, frozen=True):
    """Chances, each from 0 to 1."""

    duplicate: float = 0.2
    lose_answer: float = 0.05
    """The call was made, and its answer does not come."""
    fail_entry: float = 0.1
    """An entry of a batch is not made, and SQS says so."""
    fail_made_entry: float = 0.05
    """An entry is made, and SQS says that it was not."""
    late: float = 0.1
    """A received message is not handed on: it comes again when its time is over."""


MEAN = Faults()
NO_FAULTS = Faults(0.0, 0.0, 0.0, 0.0, 0.0)


class Hostile:
    def __init__(self, client: Sqs, seed: int, faults: Faults = MEAN) -> None:
        self._client = client
        self._faults = faults
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self.done: dict[str, int] = {}
        """How often each fault happened, by its name."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def receive_message(self, **asked: Any) -> Any:
        answer = self._client.receive_message(**asked)
        if answer.get("Messages"):
            self._may_lose("receive")
        messages = [each for each in answer.get("Messages") or () if not self._happens("late", self._faults.late)]
        with self._lock:
            self._chance.shuffle(messages)
        return {**answer, "Messages": messages}

    def send_message_batch(self, **asked: Any) -> Any:
        twice = [entry for entry in asked["Entries"] if self._happens("duplicate", self._faults.duplicate)]
        if twice:
            self._client.send_message_batch(QueueUrl=asked["QueueUrl"], Entries=twice)
        return self._batch("send", self._client.send_message_batch, asked)

    def delete_message_batch(self, **asked: Any) -> Any:
        return self._batch("delete", self._client.delete_message_batch, asked)

    def change_message_visibility_batch(self, **asked: Any) -> Any:
        return self._batch("extend", self._client.change_message_visibility_batch, asked)

    def _batch(self, name: str, call: Any, asked: dict[str, Any]) -> Any:
        failed = [each for each in asked["Entries"] if self._happens(f"{name} failed", self._faults.fail_entry)]
        entries = [each for each in asked["Entries"] if each not in failed]
        answer = call(QueueUrl=asked["QueueUrl"], Entries=entries) if entries else {}
        self._may_lose(name)
        made = answer.get("Successful") or []
        denied = [each for each in made if self._happens(f"{name} denied", self._faults.fail_made_entry)]
        return {
            "Successful": [each for each in made if each not in denied],
            "Failed": [*(answer.get("Failed") or []), *_faults_of([*failed, *denied])],
        }

    def _may_lose(self, name: str) -> None:
        if self._happens(f"{name} unanswered", self._faults.lose_answer):
            raise ReadTimeoutError(endpoint_url="http://hostile")

    def _happens(self, what: str, probability: float) -> bool:
        with self._lock:
            happens = self._chance.random() < probability
            self.done[what] = self.done.get(what, 0) + happens
            return happens


def _faults_of(entries: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError", "Message": "try again"} for entry in entries
    ]
