"""What a programmer writes instead of `forebay stream`: the shortest loop that is exactly once, and one that only copies.

    python -m loadtest.bench.stream_loop score|copy BOOTSTRAP INPUT OUTPUT GROUP MODEL.onnx BATCH INTERVAL_S

`score` writes the lane's output: key, timestamp, the record's headers, model and version. `copy` writes each record as it is.
Both use the lane's librdkafka options, so that what differs is the work. They have no dead letters, no retries, no rebalances,
no fencing: one process, all goes well, until SIGTERM.
"""

import signal
import struct
import sys
from collections.abc import Callable, Sequence
from time import monotonic
from types import FrameType

import msgspec
import numpy as np
import onnxruntime as ort
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from loadtest.bench.stream_model import FEATURES, NAME
from pipelines.kafka.options import Kafka
from pipelines.stream.dead import Headers
from pipelines.stream.options import consumer_options, producer_options

Work = Callable[[Sequence[Message]], Sequence[bytes | None]]
_MODEL: Headers = [("forebay.model", NAME.encode()), ("forebay.version", b"1")]
_ROOM_S = 0.05
_PROMPT = {"enable.partition.eof": False, "fetch.queue.backoff.ms": 10}
"""librdkafka waits a second before it fetches again for a full queue: far too long for one that a loop empties."""


class Record(msgspec.Struct, gc=False):
    features: list[float]


def scorer(path: str) -> Work:
    """Decode typed, one batch of ONNX Runtime, encode."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    decode = msgspec.json.Decoder(Record).decode
    encode = msgspec.json.Encoder().encode
    pack = struct.Struct(f"{FEATURES}f").pack  # the quickest way known from lists to one array

    def work(messages: Sequence[Message]) -> Sequence[bytes]:
        rows = b"".join([pack(*decode(message.value()).features) for message in messages])  # type: ignore[arg-type]
        batch = np.frombuffer(rows, dtype=np.float32).reshape(len(messages), FEATURES)
        (scores,) = session.run(["score"], {"features": batch})
        return [encode({"score": score}) for score in scores.tolist()]

    return work


def copied(messages: Sequence[Message]) -> Sequence[bytes | None]:
    return [message.value() for message in messages]


def serve(
    bootstrap: str, topics: tuple[str, str], group: str, work: Work, ours: Headers, batch: int, interval: float
) -> None:
    """Until SIGTERM: read, work, produce with key, timestamp and headers, commit with the offsets every `interval`."""
    kafka = Kafka(bootstrap)
    consumer = Consumer({**consumer_options(kafka, group, "loop", "earliest"), **_PROMPT})
    producer = Producer(dict(producer_options(kafka, f"{group}-loop")))
    producer.init_transactions()
    consumer.subscribe([topics[0]])
    stopping = _until_told()
    while not stopping:
        messages = consumer.consume(batch, 0.2)
        if not messages:
            continue
        producer.begin_transaction()
        until = monotonic() + interval
        offsets: dict[int, int] = {}
        while True:
            for message, value in zip(messages, work(messages), strict=True):
                _produce(producer, topics[1], message, value, ours)
                offsets[message.partition()] = message.offset() + 1  # type: ignore[index,operator]
            if (left := until - monotonic()) <= 0:
                break
            messages = consumer.consume(batch, 0) or consumer.consume(1, left)
        positions = [TopicPartition(topics[0], number, offset) for number, offset in offsets.items()]
        producer.send_offsets_to_transaction(positions, consumer.consumer_group_metadata())
        producer.commit_transaction()
    consumer.close()


def _produce(producer: Producer, topic: str, message: Message, value: bytes | None, ours: Headers) -> None:
    given = message.headers()
    headers = [*given, *ours] if given and ours else given or ours
    while True:
        try:
            producer.produce(topic, value, message.key(), timestamp=message.timestamp()[1], headers=headers)
            return
        except BufferError:
            producer.poll(_ROOM_S)


def _until_told() -> list[int]:
    told: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        told.append(number)

    signal.signal(signal.SIGTERM, note)
    return told


if __name__ == "__main__":
    kind, bootstrap, given, taken, group, model, batch, interval = sys.argv[1:]
    work, ours = (scorer(model), _MODEL) if kind == "score" else (copied, [])
    serve(bootstrap, (given, taken), group, work, ours, int(batch), float(interval))
