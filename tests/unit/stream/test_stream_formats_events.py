"""CloudEvents in, CloudEvents out, in the same mode."""

import base64
import json
from typing import Any

import pytest

from pipelines.flow.in_place import Refused
from pipelines.stream.formats.choosing import Choice
from pipelines.stream.formats.port import Format
from tests.unit.stream.stream_records import Headers, as_json, chosen, record

ANSWER = b'{"y":[1.0,2.0]}'
DATA = b'{"x": [1, 2], "id": 9}'
BINARY: Headers = [
    ("ce_specversion", b"1.0"), ("ce_type", b"t"), ("ce_source", b"/s"), ("ce_id", b"e1"), ("ce_time", b"2020-01-01T00:00:00Z"),
    ("ce_dataschema", b"/of-the-input"), ("content-type", b"application/json"), ("n", b"7"),
    ("ce_traceparent", b"00-a-b-01"), ("ce_correlationid", b"c"),
]  # fmt: skip
TIME = "2023-11-14T22:13:20.123Z"


def enveloped(**changes: Any) -> bytes:
    event = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "t", "data": {"x": [1, 2], "id": 9}, **changes}
    return as_json({name: value for name, value in event.items() if value is not None})


def structured(content_type: bytes = b"application/cloudevents+json; charset=UTF-8") -> Headers:
    return [("content-type", content_type), ("n", b"7")]


def read(format: Format, value: bytes | None, headers: Headers) -> Any:
    (got,) = format.decode([record(value, headers)])
    return got.error if isinstance(got, Refused) else json.loads(got)


def test_binary_mode() -> None:
    format = chosen().format
    given = record(DATA, BINARY)
    assert format.decode([given]) == [DATA]
    assert format.encode([given], [ANSWER]) == [ANSWER]
    headers = dict(format.headers([given])[0])
    id = headers.pop("ce_id")
    assert headers == {
        "n": b"7", "content-type": b"application/json", "ce_specversion": b"1.0", "ce_type": b"forebay.prediction",
        "ce_source": b"/forebay/m/3", "ce_time": TIME.encode(), "ce_traceparent": b"00-a-b-01", "ce_correlationid": b"c",
    }  # fmt: skip
    assert id not in (None, b"e1")


def test_the_id_is_the_same_after_a_rerun_and_another_for_another_event() -> None:
    def id(source: bytes, id: bytes) -> Any:
        changed = [pair for pair in BINARY if pair[0] not in ("ce_source", "ce_id")]
        return dict(chosen().format.headers([record(DATA, [*changed, ("ce_source", source), ("ce_id", id)])])[0])[
            "ce_id"
        ]

    assert id(b"/s", b"e1") == id(b"/s", b"e1")
    assert len({id(b"/s", b"e1"), id(b"/s", b"e2"), id(b"/t", b"e1")}) == 3


def test_structured_mode() -> None:
    format = chosen(Choice(passthrough=("id",))).format
    given = record(enveloped(correlationid="c", traceparent="00-a-b-01"), structured())
    assert read(format, given.value(), structured()) == {"x": [1, 2], "id": 9}
    (value,) = format.encode([given], [ANSWER])
    event = json.loads(value)
    assert len(event.pop("id")) == 32
    assert event == {
        "specversion": "1.0", "source": "/forebay/m/3", "type": "forebay.prediction", "time": TIME, "correlationid": "c",
        "traceparent": "00-a-b-01", "datacontenttype": "application/json", "data": {"y": [1.0, 2.0], "id": 9},
    }  # fmt: skip
    assert format.headers([given])[0] == structured()


def test_data_in_base64() -> None:
    value = enveloped(data=None, data_base64=base64.b64encode(DATA).decode())
    assert read(chosen().format, value, structured()) == {"x": [1, 2], "id": 9}


def test_records_are_told_apart_one_by_one() -> None:
    format = chosen().format
    given = [
        record(DATA, BINARY),
        record(DATA),
        record(None, BINARY),
        record(enveloped(), structured()),
        record(DATA, [("n", b"1")]),
    ]
    first, second, third, fourth, fifth = format.decode(given)
    assert first == second == fifth == DATA
    assert isinstance(third, Refused)
    assert isinstance(fourth, bytes)
    got = format.encode([given[0], given[1], given[3], given[4]], [ANSWER] * 4)
    assert [value == ANSWER for value in got] == [True, True, False, True]


@pytest.mark.parametrize(
    ("value", "headers", "said"),
    [
        (DATA, [("ce_specversion", b"0.3"), ("ce_id", b"1"), ("ce_source", b"s")], "ce_specversion: '0.3', expected '1.0'"),
        (DATA, [("ce_specversion", b"1.0"), ("ce_source", b"s")], "ce_id: missing"),
        (DATA, [("ce_specversion", None)], "ce_specversion: '', expected"),
        (DATA, structured(), "value: no CloudEvent: Expected `str`, got `int` - at `$.id`"),
        (b"\xff", structured(), "value: no CloudEvent"),
        (b'{"specversion":"1.0","id":"\xff","source":"s","type":"t"}', structured(), "value: no CloudEvent"),
        (None, structured(), "value: no CloudEvent"),
        (b"[" * 100_000, structured(), "value: no CloudEvent"),
        (enveloped(source=""), structured(), "source: missing"),
        (enveloped(data=None), structured(), "value: null"),
        (b"[]", structured(b"application/cloudevents-batch+json"), "content-type: 'application/cloudevents-batch+json'"),
    ],
)  # fmt: skip
def test_bad_events_are_refused_with_a_reason(value: bytes | None, headers: Headers, said: str) -> None:
    got = read(chosen().format, value, headers)
    assert isinstance(got, str)
    assert got.startswith(said)
    assert "\n" not in got


def test_rows_of_a_table_are_no_events() -> None:
    format = chosen(Choice(bare=True)).format
    assert format.encode([record(enveloped(), structured())], [ANSWER]) == [ANSWER]


@pytest.mark.parametrize("at", [0, 2**62])
def test_a_record_without_a_time_that_a_clock_can_show(at: int) -> None:
    assert "ce_time" not in dict(chosen().format.headers([record(DATA, BINARY, at=at)])[0])


def test_events_among_records_that_are_none_are_told_apart() -> None:
    format = chosen().format
    records = [record(DATA, [("n", b"1")]), record(DATA, BINARY), record(DATA)]
    plain, event, bare = format.headers(records)
    assert (plain, bare) == ([("n", b"1")], [])
    assert dict(event)["ce_specversion"] == b"1.0", event
    assert format.decode(records) == [DATA, DATA, DATA]
