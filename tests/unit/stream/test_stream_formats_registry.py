"""Avro and JSON Schema through a schema registry, which answers over HTTP."""

import io
import json
from collections.abc import Iterator
from typing import Any

import fastavro
import pytest

from pipelines.flow.in_place import Refused
from pipelines.kafka.faults import KafkaAway, KafkaRefused
from pipelines.stream.formats.choosing import Choice, choose
from pipelines.stream.formats.port import Format
from pipelines.stream.sinks import Undone
from schemas.model_spec import TensorSpec
from tests.unit.stream.registry_server import Registry, registry
from tests.unit.stream.stream_records import Headers, as_json, chosen, record, spec_of

AVRO = {
    "type": "record",
    "name": "R",
    "fields": [{"name": "x", "type": {"type": "array", "items": "float"}}, {"name": "id", "type": ["null", "long"]}],
}
JSON = {
    "type": "object",
    "properties": {"x": {"type": "array", "maxItems": 2}, "id": {"minimum": 0}},
    "required": ["x"],
}


@pytest.fixture
def server() -> Iterator[Registry]:
    with registry() as server:
        yield server


def framed(id: int, payload: bytes) -> bytes:
    return b"\0" + id.to_bytes(4, "big") + payload


def avro(schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


def reading(server: Registry, input: Any = "auto", **choice: Any) -> Format:
    return chosen(Choice(input=input, registry=server.url, **choice)).format


def read(format: Format, *values: bytes) -> list[Any]:
    """What each is read as, or why it is refused."""
    return [got.error if isinstance(got, Refused) else json.loads(got) for got in format.decode([*map(record, values)])]


def test_auto_tells_them_apart_by_the_first_byte_and_the_schema(server: Registry) -> None:
    one, two = server.add("in-value", AVRO), server.add("other-value", JSON, "JSON")
    values = [framed(one, avro(AVRO, {"x": [0.1, 2], "id": 5})), framed(two, b'{"x": [3, 4]}'), b'{"x": [5, 6]}']
    first, second, third = read(reading(server), *values)
    assert first == {"x": [pytest.approx(0.1, abs=1e-8), 2.0], "id": 5}
    assert (second, third) == ({"x": [3, 4]}, {"x": [5, 6]})
    assert len(server.asked) == 2


def test_the_registry_is_asked_once_for_a_schema(server: Registry) -> None:
    id = server.add("in-value", AVRO)
    format = reading(server, "avro")
    for _ in range(3):
        read(format, *[framed(id, avro(AVRO, {"x": [1, 2], "id": None}))] * 10)
    assert len(server.asked) == 1


def test_what_does_not_fit_is_refused_and_its_neighbours_are_read(server: Registry) -> None:
    good = framed(server.add("in-value", AVRO), avro(AVRO, {"x": [1, 2], "id": 1}))
    bad = [b"", b"{}", b"\1" + good[1:], b"\0\0\0", good[:-3], good + b"zz", framed(99, b"x"), good[:5] + b"\xff" * 12]
    *errors, last = read(reading(server, "avro"), *bad, good)
    assert last == {"x": [1.0, 2.0], "id": 1}
    said = [
        "no bytes",
        "first byte 123",
        "first byte 1",
        "3 bytes",
        "does not fit schema 1",
        "bytes too many",
        "schema 99: unknown",
        "does not fit",
    ]
    for error, part in zip(errors, said, strict=True):
        assert isinstance(error, str)
        assert part in error
        assert "\n" not in error


def test_a_schema_that_a_record_does_not_obey(server: Registry) -> None:
    id = server.add("in-value", JSON, "JSON")
    good, long, negative, broken = (framed(id, v) for v in (b'{"x":[]}', b'{"x":[1,2,3]}', b'{"x":[],"id":-1}', b"{"))
    got = read(reading(server, "json-schema"), good, long, negative, broken)
    assert got[0] == {"x": []}
    assert all("does not fit schema 1" in error for error in got[1:])


def test_another_kind_of_schema_is_refused(server: Registry) -> None:
    id, proto = server.add("in-value", JSON, "JSON"), server.add("p", "syntax", "PROTOBUF")
    assert "is JSON, expected AVRO" in read(reading(server, "avro"), framed(id, b"{}"))[0]
    assert "is PROTOBUF, expected AVRO or JSON" in read(reading(server), framed(proto, b"{}"))[0]


def test_unknown_ids_do_not_become_a_flood_of_requests(server: Registry) -> None:
    now = [0.0]
    choice = Choice(input="avro", registry=server.url)
    format = choose(choice, spec_of(), "1", "out", lambda: now[0]).format
    value = framed(1, avro(AVRO, {"x": [1, 2], "id": None}))
    assert "unknown" in read(format, *[value] * 50)[-1]
    assert len(server.asked) == 1
    server.add("in-value", AVRO)
    assert "unknown" in read(format, value)[0]
    now[0] = 31.0
    assert read(format, value) == [{"x": [1.0, 2.0], "id": None}]


def test_a_registry_that_is_away_is_no_fault_of_the_record(server: Registry) -> None:
    value = framed(server.add("in-value", AVRO), avro(AVRO, {"x": [1, 2], "id": None}))
    format = reading(server, "avro")
    server.away = True
    with pytest.raises(Undone, match="schema registry: schema 1: away"):
        read(format, value)
    server.away = False
    assert read(format, value) == [{"x": [1.0, 2.0], "id": None}]


def test_a_registry_that_nobody_answers_for() -> None:
    with registry() as server:
        format = reading(server, "avro")
    with pytest.raises(Undone, match="no answer"):
        read(format, framed(1, b""))


def test_schemas_that_name_others(server: Registry) -> None:
    point = {"type": "record", "name": "p.Point", "fields": [{"name": "v", "type": "float"}]}
    server.add("point", point)
    outer = {"type": "record", "name": "O", "fields": [{"name": "x", "type": {"type": "array", "items": "p.Point"}}]}
    id = server.add("in-value", outer, references=[{"name": "p.Point", "subject": "point", "version": 1}])
    both = fastavro.parse_schema(json.loads(json.dumps(outer).replace('"p.Point"', json.dumps(point))))
    assert read(reading(server), framed(id, avro(both, {"x": [{"v": 2}]}))) == [{"x": [{"v": 2.0}]}]
    server.add("number", {"type": "number"}, "JSON")
    schema = {"properties": {"x": {"items": {"$ref": "number.json"}}}}
    named = server.add("j", schema, "JSON", [{"name": "number.json", "subject": "number", "version": 1}])
    good, bad = read(reading(server), framed(named, b'{"x":[1]}'), framed(named, b'{"x":["a"]}'))
    assert (good, "does not fit" in bad) == ({"x": [1]}, True)


def test_nothing_is_fetched_from_where_a_schema_points(server: Registry) -> None:
    id = server.add("in-value", {"$ref": f"{server.url}/schemas/ids/1"}, "JSON")
    (error,) = read(reading(server), framed(id, b"{}"))
    assert "cannot be used" in error
    assert len(server.asked) == 1


def test_fields_of_avro_pass_through(server: Registry) -> None:
    value = framed(server.add("in-value", AVRO), avro(AVRO, {"x": [1, 2], "id": 8}))
    format = reading(server, passthrough=("id",))
    assert format.encode([record(value)], [b'{"y":[1,2]}']) == [b'{"y":[1,2],"id":8}']


def test_avro_in_an_event(server: Registry) -> None:
    headers: Headers = [
        ("ce_specversion", b"1.0"), ("ce_id", b"1"), ("ce_source", b"s"), ("content-type", b"application/avro")
    ]  # fmt: skip
    given = record(framed(server.add("in-value", AVRO), avro(AVRO, {"x": [1, 2], "id": 8})), headers)
    format = reading(server)
    assert format.decode([given]) == [b'{"x":[1.0,2.0],"id":8}']
    assert ("content-type", b"application/json") in format.headers([given])[0]


def outputs() -> tuple[TensorSpec, ...]:
    return (
        TensorSpec(name="y", dtype="float32", shape=(2,), nan=True),
        TensorSpec(name="label", dtype="string"),
        TensorSpec(name="grid", dtype="int16", shape=(1, 2)),
    )


def test_answers_as_avro(server: Registry) -> None:
    choice = Choice(output="avro", registry=server.url)
    format = chosen(choice, outputs=outputs()).format
    answer = {"y": [0.5, None], "label": "a", "grid": [[3, 4]]}
    (value,) = format.encode([record(b"{}")], [as_json(answer)])
    (id,) = server.subjects["out-value"]
    assert value[:5] == framed(id, b"")
    schema = json.loads(server.schemas[id]["schema"])
    assert fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(schema), None) == answer
    envelope = record(
        as_json({"specversion": "1.0", "id": "1", "source": "s", "type": "t"}),
        [("content-type", b"application/cloudevents+json")],
    )
    (event,) = format.encode([envelope], [as_json(answer)])
    assert {"data_base64", "datacontenttype"} <= json.loads(event).keys()


@pytest.mark.parametrize(
    ("output", "said"),
    [({"name": "a.b", "dtype": "float32"}, "outputs.a.b: Avro takes names"), ({"name": "y", "dtype": "uint64"}, "no uint64")],
)  # fmt: skip
def test_outputs_that_avro_cannot_hold(server: Registry, output: dict[str, Any], said: str) -> None:
    with pytest.raises(KafkaRefused, match=said):
        chosen(Choice(output="avro", registry=server.url), outputs=(TensorSpec(**output),))


def test_a_registry_that_is_away_at_the_start(server: Registry) -> None:
    server.away = True
    with pytest.raises(KafkaAway, match="out-value"):
        chosen(Choice(output="avro", registry=server.url))
