"""The records of the stream's bench: about 150 bytes of JSON with 16 floats, key, timestamp and one header.

Filling runs as a process of its own: python -m loadtest.bench.stream_records BOOTSTRAP TOPIC FIRST COUNT
"""

import random
import subprocess
import sys
import time

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from loadtest.bench.processes import ROOT, python
from loadtest.bench.stream_model import FEATURES
from pipelines.stream.dead import Headers

DIFFERENT = 10_000
"""Values; records go round them. Each has a key of its own."""
PER_MS = 100
"""Records of one timestamp. They begin at the time of filling: older ones a broker would soon delete (retention), and ones
of the far future it refuses."""
HEADER = "source"
_SEED = 7
_ROOM_S = 0.05


def values() -> list[bytes]:
    chance = random.Random(_SEED)
    return [
        msgspec.json.encode({"features": [round(chance.uniform(-1, 1), 5) for _ in range(FEATURES)]})
        for _ in range(DIFFERENT)
    ]


def fill(bootstrap: str, topic: str, first: int, count: int) -> None:
    """Records number `first` to `first + count`, by another process: memory and garbage of it are not the bench's."""
    subprocess.run(
        python("-m", "loadtest.bench.stream_records", bootstrap, topic, str(first), str(count)), check=True, cwd=ROOT
    )


def _fill(bootstrap: str, topic: str, first: int, count: int) -> None:
    faults: list[KafkaError] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            faults.append(error)

    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 20, "batch.size": 1_000_000, "batch.num.messages": 10_000,
         "queue.buffering.max.messages": 500_000, "partitioner": "murmur2_random", "delivery.report.only.error": True,
         "on_delivery": delivered, "acks": "all"}
    )  # fmt: skip
    given = values()
    keys = [str(number).encode() for number in range(DIFFERENT)]
    headers: Headers = [(HEADER, b"bench")]
    number, began = first, int(time.time() * 1000) - first // PER_MS
    while number < first + count:
        place = number % DIFFERENT
        try:
            producer.produce(topic, given[place], keys[place], timestamp=began + number // PER_MS, headers=headers)
            number += 1
        except BufferError:
            producer.poll(_ROOM_S)
    producer.flush()
    if faults:
        raise KafkaException(faults[0])


if __name__ == "__main__":
    _fill(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
