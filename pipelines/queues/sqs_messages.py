"""Job messages on SQS: the envelope is the body, `traceparent` an attribute beside it."""

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import msgspec

from pipelines.ports import Message
from pipelines.queues import envelopes
from pipelines.queues.envelopes import Found, Origin
from schemas.reasons import Reason
from schemas.strays import Stray
from schemas.verdicts import Dead

SENT_TO = "DeadLetterQueueSourceArn"
"""Of a message in a dead-letter queue: the queue that gave it up."""
SYSTEM_ATTRIBUTES = ("ApproximateReceiveCount", "MessageGroupId", SENT_TO)
_GROUP = re.compile(r"[A-Za-z0-9!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]{1,128}")
_NONCHARACTERS = ("\ufffe", "\uffff")
"""The two characters of JSON's that SQS refuses."""
_ENTRY_BYTES = 256
"""Of an entry beside its body: the attribute's name, type and value."""


def entry(message: Message, fifo: bool, unique: Callable[[], str]) -> dict[str, Any]:
    """One of a SendMessageBatch, without its Id."""
    made: dict[str, Any] = {"MessageBody": _body(message)}
    if message.traceparent:
        made["MessageAttributes"] = {"traceparent": {"DataType": "String", "StringValue": message.traceparent}}
    if fifo:  # a group of its own for each job, so that none waits for another; a re-send is never swallowed
        made["MessageGroupId"] = _group(message.id)
        made["MessageDeduplicationId"] = unique()
    return made


def size_of(made: dict[str, Any]) -> int:
    """Bytes of an entry that count against SQS's limit, or a few more."""
    body: str = made["MessageBody"]
    return (len(body) if body.isascii() else len(body.encode())) + _ENTRY_BYTES


def decode(received: Any, source: str, given_up: int = 0) -> Found:
    """`received`: a message as boto3 hands it out. `given_up`: it lies in the dead-letter queue, after so many receives.
    Raises nothing."""
    found = envelopes.decode(received["Body"].encode(), lambda: _origin(received, source))
    if isinstance(found, Stray):
        return found
    times = int((received.get("Attributes") or {}).get("ApproximateReceiveCount", 0))
    return msgspec.structs.replace(found, received=times, doom=_gave_up(given_up) if given_up else None)


def _gave_up(receives: int) -> Dead:
    """Of a job that is open and held by nobody, whose message SQS has put aside."""
    error = f"SQS gave its message up after {receives} receives: no worker came to an answer"
    return Dead(Reason.GIVEN_UP, error, charged=False)


def _body(message: Message) -> str:
    body = envelopes.encode(message).decode()
    if body.isascii() or not any(char in body for char in _NONCHARACTERS):
        return body
    return envelopes.encode(message, most=0).decode()


def _group(id: str) -> str:
    return id if _GROUP.fullmatch(id) else sha256(id.encode()).hexdigest()


def _origin(received: Any, source: str) -> Origin:
    attributes = received.get("Attributes") or {}
    group = attributes.get("MessageGroupId")
    # Wherever it lies now: a job is named by where its message was sent to, and must not be made a second time.
    source = attributes.get(SENT_TO, source).rpartition(":")[2]
    headers = tuple(
        (name, _value(attribute)) for name, attribute in sorted((received.get("MessageAttributes") or {}).items())
    )
    id = received["MessageId"]
    return Origin(source, id, f"sqs:{source}:{id}", None if group is None else group.encode(), headers)


def _value(attribute: Any) -> bytes | None:
    if "BinaryValue" in attribute:
        return bytes(attribute["BinaryValue"])
    text = attribute.get("StringValue")
    return None if text is None else str(text).encode()
