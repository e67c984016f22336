"""`forebay stream` on a real broker, in each format: options, headers and dead letters as they arrive."""

import io
import json
from typing import Any

import fastavro
from confluent_kafka import Producer

from tests.services.broker import Broker
from tests.stream.stage import StreamStage, stream_stage
from tests.stream.topics import Found, read_all
from tests.unit.stream.registry_server import registry
from tests.unit.stream.stream_records import Headers

Given = tuple[bytes | None, Headers]
PLAIN = {"x": [5, 0]}
ANSWER = [(5 * 7919 + 13) ^ 0x5A5A]


def scored(on: StreamStage, given: list[Given], *arguments: str) -> tuple[dict[int, Found], dict[int, Found]]:
    """Answers and dead letters, by place of the record."""
    producer = Producer({"bootstrap.servers": on.broker.bootstrap})
    for n, (value, headers) in enumerate(given):
        producer.produce(on.topic, value, headers=[("n", str(n).encode()), *headers])
    assert producer.flush(20) == 0
    worker = on.start("--until-drained", *arguments)
    assert worker.wait(60) == 0, worker.complained
    return tuple({each.n: each for each in read_all(on.broker, topic)} for topic in (on.output, on.dead))  # type: ignore[return-value]


def value_of(found: Found) -> Any:
    assert found.value is not None
    return json.loads(found.value)


def test_events_and_fields_that_pass_through(kafka: Broker) -> None:
    binary: Headers = [("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"s"), ("ce_type", b"t")]
    envelope = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {**PLAIN, "id": 8}}
    given: list[Given] = [
        (json.dumps({**PLAIN, "id": "a", "other": 1}).encode(), []),
        (json.dumps({**PLAIN, "id": [1]}).encode(), binary),
        (json.dumps(envelope).encode(), [("content-type", b"application/cloudevents+json")]),
        (json.dumps(PLAIN).encode(), binary[:1]),
    ]
    with stream_stage(kafka, partitions=1) as on:
        answers, letters = scored(on, given, "--passthrough", "id,ts")
    assert value_of(answers[0]) == {"y": ANSWER, "id": "a"}
    assert value_of(answers[1]) == {"y": ANSWER, "id": [1]}
    assert answers[1].headers["ce_type"] == b"forebay.prediction"
    assert value_of(answers[2])["data"] == {"y": ANSWER, "id": 8}
    assert letters[3].headers["forebay.dlq.error"] == b"ce_id: missing, expected with every CloudEvent"


def test_avro_in_and_out(kafka: Broker) -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "x", "type": {"type": "array", "items": "long"}}]}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, PLAIN)
    with registry() as server, stream_stage(kafka, partitions=1) as on:
        frame = b"\0" + server.add("in-value", schema).to_bytes(4, "big")
        given: list[Given] = [(frame + out.getvalue(), []), (b"\0\0\0\0\x63" + out.getvalue(), [])]
        answers, letters = scored(on, given, "--schema-registry", server.url, "--output-format", "avro")
        (id,) = server.subjects[f"{on.output}-value"]
        written = fastavro.parse_schema(json.loads(server.schemas[id]["schema"]))
    value = answers[0].value
    assert value is not None
    assert value[:5] == b"\0" + id.to_bytes(4, "big")
    assert fastavro.schemaless_reader(io.BytesIO(value[5:]), written, None) == {"y": ANSWER}
    assert b"schema 99: unknown" in letters[1].headers["forebay.dlq.error"]


def test_raw_tensors(kafka: Broker) -> None:
    whole = b"".join(number.to_bytes(8, "little") for number in PLAIN["x"])
    with stream_stage(kafka, partitions=1) as on:
        answers, letters = scored(on, [(whole, []), (whole[:-4], [])], "--format", "raw")
    assert value_of(answers[0]) == {"y": ANSWER}
    assert letters[1].headers["forebay.dlq.error"].startswith(b"value: 12 bytes, expected 16")


def test_what_cannot_be_is_one_line(kafka: Broker) -> None:
    with stream_stage(kafka, partitions=1) as on:
        worker = on.start("--format", "avro")
        assert worker.wait(30) != 0
        assert "--schema-registry" in worker.complained
