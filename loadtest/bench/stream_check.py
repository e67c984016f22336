"""Whether an output is what it has to be: a figure of a loop that writes nonsense is none."""

from pathlib import Path
from time import monotonic
from uuid import uuid4

import msgspec
import numpy as np
import onnxruntime as ort
from confluent_kafka import Consumer, Message

from loadtest.bench.stream_records import HEADER, values

_WITHIN_S = 30.0
_CLOSE = 1e-5


class WrongOutput(Exception):
    """One line: which record is not what it has to be."""


class Answer(msgspec.Struct):
    score: tuple[float]


def check(bootstrap: str, topic: str, records: int, model: Path | None) -> None:
    """At least `records` answers that a `read_committed` reader sees, each with key, timestamp, header and the score of its
    input. Without a `model`: each a copy of its input."""
    given = values()
    scores = None if model is None else _scores(model, given)
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": uuid4().hex, "auto.offset.reset": "earliest",
         "isolation.level": "read_committed", "enable.auto.commit": False}
    )  # fmt: skip
    consumer.subscribe([topic])
    seen, end = 0, monotonic() + _WITHIN_S
    while seen < records:
        for message in consumer.consume(10_000, 0.2):
            _check_one(message, given, scores)
            seen += 1
        if monotonic() > end:
            raise WrongOutput(f"{topic}: {seen:,} records, expected {records:,}")
    consumer.close()


def _check_one(message: Message, given: list[bytes], scores: np.ndarray | None) -> None:
    key, value, headers = message.key(), message.value(), list(message.headers() or ())
    fault = message.error()
    if fault is not None or key is None or value is None:
        raise WrongOutput(f"{message.topic()}: {fault or 'a record without key or value'}")
    place = int(key)
    fine = (
        value == given[place]
        if scores is None
        else abs(msgspec.json.decode(value, type=Answer).score[0] - scores[place]) < _CLOSE
    )
    if not fine or not headers or headers[0][0] != HEADER or message.timestamp()[1] <= 0:
        raise WrongOutput(f"{message.topic()}: key {place}: {value[:80]!r} with headers {headers!r}")


def _scores(model: Path, given: list[bytes]) -> np.ndarray:
    rows = [msgspec.json.decode(value)["features"] for value in given]
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (scores,) = session.run(["score"], {"features": np.array(rows, dtype=np.float32)})
    return np.asarray(scores)[:, 0]
