"""What all parts of the queue on SQS call through: the client, whether it answers, batches in tens."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, wait
from typing import Any, TypeVar

from msgspec import Struct, field

from pipelines.queues.sqs_inbox import Receipt
from pipelines.queues.sqs_threads import Threads
from pipelines.sqs.client import MOST, Sqs
from pipelines.sqs.errors import RAISED, is_stale
from pipelines.sqs.presence import Presence
from pipelines.sqs.queues import name_of

T = TypeVar("T")
LONGEST_S = 12 * 3600.0
"""How long a message may be invisible in all, from its receive on: SQS's cap."""
_CAP_MARGIN_S = 60.0


class Calls(Struct, frozen=True):
    client: Sqs
    presence: Presence
    monotonic: Callable[[], float]
    pool: Executor
    """For what goes on beside."""
    threads: Threads = field(default_factory=Threads)


def tens(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), MOST):
        yield items[first : first + MOST]


def set_visibility(calls: Calls, receipts: Sequence[Receipt], seconds: int, within: float) -> set[Receipt]:
    """Those that stay invisible for so long from now on; 0 gives them back at once. In parallel, for at most `within`
    seconds: what was not answered by then, is stale, or would go beyond SQS's cap, is missing. Raises nothing."""
    latest = calls.monotonic() + seconds - LONGEST_S + _CAP_MARGIN_S
    allowed = [receipt for receipt in receipts if receipt.since > latest or not seconds]
    batches = [batch for alike in _by_queue(allowed).values() for batch in tens(alike)]
    asked = [calls.pool.submit(change, calls, batch, seconds) for batch in batches]
    done, late = wait(asked, within)
    for future in late:
        future.cancel()
    return {receipt for future in done for receipt in future.result()}


def change(calls: Calls, batch: Sequence[Receipt], seconds: int) -> list[Receipt]:
    """The visibility of at most ten of one queue; those that SQS changed. Raises nothing."""
    entries = [
        {"Id": str(place), "ReceiptHandle": receipt.handle, "VisibilityTimeout": seconds}
        for place, receipt in enumerate(batch)
    ]
    try:
        answer = calls.client.change_message_visibility_batch(QueueUrl=batch[0].queue, Entries=entries)
    except RAISED as fault:
        calls.presence.failed("change visibility", fault, f"queue {name_of(batch[0].queue)!r}")
        return []
    calls.presence.answered("change visibility")
    return [batch[int(entry["Id"])] for entry in answer.get("Successful") or ()]


def delete(calls: Calls, queue: str, handles: Sequence[str]) -> list[str]:
    """At most ten. Those that failed and may be tried again; a stale one is done with. Raises nothing."""
    entries = [{"Id": str(place), "ReceiptHandle": handle} for place, handle in enumerate(handles)]
    try:
        answer = calls.client.delete_message_batch(QueueUrl=queue, Entries=entries)
    except RAISED as fault:
        calls.presence.failed("delete", fault, f"queue {name_of(queue)!r}")
        return list(handles)
    calls.presence.answered("delete")
    return [handles[int(entry["Id"])] for entry in answer.get("Failed") or () if not _over(entry)]


def _over(entry: Any) -> bool:
    return is_stale(str(entry.get("Code", "")), str(entry.get("Message", "")))


def _by_queue(receipts: Sequence[Receipt]) -> dict[str, list[Receipt]]:
    found: dict[str, list[Receipt]] = {}
    for receipt in receipts:
        found.setdefault(receipt.queue, []).append(receipt)
    return found
