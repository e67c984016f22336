"""The sending side: batches of ten, several in flight; what SQS did not confirm in time is left to the sweeper."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Any

from msgspec import Struct

from pipelines.ports import Message
from pipelines.queues.sqs_messages import entry, size_of
from pipelines.sqs.client import MOST, MOST_BYTES, Sqs
from pipelines.sqs.daemons import Daemons
from pipelines.sqs.errors import RAISED, fault_of
from pipelines.sqs.faults import SqsFault
from pipelines.sqs.losses import Losses
from pipelines.sqs.names import Named
from pipelines.sqs.presence import Presence
from pipelines.sqs.queues import url_of

PATIENCE_S = 1.0
SEND = "send"
"""The kind of call, for presence."""


class _Batch(Struct):
    queue: Named
    places: list[int] = []
    entries: list[dict[str, Any]] = []
    size: int = 0


class _Outcome(Struct, frozen=True):
    """Of one batch."""

    places: list[int] = []
    """Those that were confirmed."""
    fault: str | None = None
    """One line about the others."""


class SqsOutlet:
    """Any thread may send. A broker that is away costs `patience` seconds, and the answer is False."""

    def __init__(
        self,
        client: Sqs,
        queue_of: Callable[[str], Named],
        unique: Callable[[], str],
        presence: Presence,
        losses: Losses,
        parallel: int = 4,
        patience: float = PATIENCE_S,
    ) -> None:
        """`queue_of`: where the jobs of a model go. `unique`: never the same twice."""
        self._client = client
        self._queue_of = queue_of
        self._unique = unique
        self._presence = presence
        self._losses = losses
        self._patience = patience
        self._urls: dict[Named, str] = {}
        self._pool = Daemons(parallel, "forebay-sqs-send")

    @property
    def away(self) -> str | None:
        """One line since something was not confirmed, until all of a send is."""
        return self._presence.away

    def send(self, messages: Sequence[Message], delay: float = 0.0) -> list[bool]:
        """With a delay nothing is sent, and the sweeper sends when the row is due: a message kept back by SQS would only
        come beside that one."""
        confirmed = [False] * len(messages)
        if delay > 0:
            return confirmed
        asked = [self._pool.submit(self._send, batch) for batch in self._batches(messages)]
        done, late = wait(asked, self._patience)
        for future in late:
            future.cancel()
        outcomes = [future.result() for future in done]
        for outcome in outcomes:
            for place in outcome.places:
                confirmed[place] = True
        faults = [outcome.fault for outcome in outcomes if outcome.fault is not None]
        self._note([*faults, *([f"sqs: {SEND}: no answer within {self._patience:g} s"] if late else [])])
        return confirmed

    def answers(self) -> bool:
        """Asked of every queue that was used so far, or of the one that a model without a pool goes to."""
        known = list(self._urls) or [self._queue_of("")]
        asked: list[Future[str]] = [self._pool.submit(url_of, self._client, queue) for queue in known]
        done, late = wait(asked, self._patience)
        for future in late:
            future.cancel()
        faults = [str(fault) for future in done if (fault := future.exception()) is not None]
        self._note([*faults, *([f"sqs: no answer within {self._patience:g} s"] if late else [])])
        return not late and not faults

    def lost(self) -> list[str]:
        return self._losses.take()

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _batches(self, messages: Sequence[Message]) -> Iterator[_Batch]:
        """Each at most ten, and no larger than SQS takes."""
        open_: dict[Named, _Batch] = {}
        for place, message in enumerate(messages):
            queue = self._queue_of(message.model)
            made = entry(message, queue.fifo, self._unique)
            size = size_of(made)
            batch = open_.get(queue)
            if batch is not None and (len(batch.places) == MOST or batch.size + size > MOST_BYTES):
                yield batch
                batch = None
            if batch is None:
                batch = open_[queue] = _Batch(queue)
            made["Id"] = str(place)
            batch.places.append(place)
            batch.entries.append(made)
            batch.size += size
        yield from open_.values()

    def _note(self, faults: Sequence[str]) -> None:
        """Once for each send: what comes in late changes nothing about what was left to the sweeper."""
        if faults:
            self._presence.complained(SEND, faults[0])
        else:
            self._presence.answered(SEND)

    def _send(self, batch: _Batch) -> _Outcome:
        """Raises nothing."""
        where = f"queue {batch.queue.name!r}"
        try:
            answer = self._client.send_message_batch(QueueUrl=self._url(batch.queue), Entries=batch.entries)
        except RAISED as fault:
            return self._not_sent(batch, fault_of(fault, f"{SEND}, {where}"))
        except SqsFault as fault:
            return self._not_sent(batch, fault)
        self._losses.answered(batch.queue.name)
        places = [int(each["Id"]) for each in answer.get("Successful") or ()]
        failed = answer.get("Failed") or ()
        if not failed:
            return _Outcome(places)
        told = f"{failed[0].get('Code')}: {failed[0].get('Message')}"
        return _Outcome(places, f"sqs: {SEND}, {where}: {len(failed)} of {len(batch.places)} not sent: {told}")

    def _not_sent(self, batch: _Batch, fault: SqsFault) -> _Outcome:
        self._losses.failed(batch.queue.name, fault)
        return _Outcome(fault=str(fault))

    def _url(self, queue: Named) -> str:
        """Looked up once: a queue that was made anew has the same."""
        url = self._urls.get(queue)
        if url is None:
            url = self._urls[queue] = url_of(self._client, queue)
        return url
