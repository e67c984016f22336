"""Plain JSON: what passes through to the answer, what is refused."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.flow.in_place import Refused
from pipelines.kafka.faults import KafkaRefused
from pipelines.stream.formats.choosing import Choice
from tests.unit.stream.stream_records import chosen, record, spec_of

ANSWER = b'{"y":[1.0,2.0]}'


def answered(value: bytes, *names: str) -> bytes:
    format = chosen(Choice(passthrough=names)).format
    given = [record(value)]
    assert format.decode(given) == [value]
    return format.encode(given, [ANSWER])[0]


def test_fields_are_carried_as_they_are_written() -> None:
    value = '{"id": 12345678901234567890123, "x": [1, 2], "ts" : 1.50, "who": {"n": ["é", null] }}'.encode()
    got = answered(value, "id", "who", "gone", "ts")
    assert got == ANSWER[:-1] + ',"id":12345678901234567890123,"who":{"n": ["é", null] },"ts":1.50}'.encode()
    json.loads(got)


def test_names_may_be_any_and_an_input_may_pass_too() -> None:
    got = answered('{"größe in m": 1, "x": [1,2]}'.encode(), "größe in m", "x")
    assert got == ANSWER[:-1] + ',"größe in m":1,"x":[1,2]}'.encode()


@pytest.mark.parametrize("value", [b'{"x":[1,2]}', b'[{"name":"x"}]', b" 5"])
def test_what_has_no_such_field_is_left_alone(value: bytes) -> None:
    assert answered(value, "id") == ANSWER


def test_what_would_break_the_output_is_refused() -> None:
    (got,) = chosen(Choice(passthrough=("id",))).format.decode([record(b'{"x":[1,2],"id":"\xff"}')])
    assert isinstance(got, Refused)
    assert got.error == "value: not UTF-8 at byte 17, expected JSON in UTF-8"


def test_a_null_value_is_refused() -> None:
    (got,) = chosen().format.decode([record(None)])
    assert isinstance(got, Refused)
    assert got.error == "value: null, expected the model's inputs"


def test_model_yaml_names_them_and_the_command_overrules_it() -> None:
    given = [record(b'{"id":1,"ts":2}')]
    assert chosen(passthrough=("id",)).format.encode(given, [ANSWER]) == [ANSWER[:-1] + b',"id":1}']
    assert chosen(Choice(passthrough=("ts",)), passthrough=("id",)).format.encode(given, [ANSWER]) == [
        ANSWER[:-1] + b',"ts":2}'
    ]
    assert chosen(Choice(passthrough=()), passthrough=("id",)).format.encode(given, [ANSWER]) == [ANSWER]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"passthrough": ("y",)}, "'y' is an output"),
        ({"passthrough": ('a"',)}, "without quotes"),
        ({"passthrough": ("",)}, "''"),
        ({"passthrough": ("id", "id")}, "'id' is named twice"),
        ({"passthrough": ("id",), "input": "raw"}, "raw tensors have no fields"),
        ({"passthrough": ("id",), "output": "avro", "registry": "http://r"}, "the model's outputs only"),
        ({"input": "avro"}, "needs --schema-registry"),
        ({"output": "avro"}, "needs --schema-registry"),
        ({"output": "avro", "bare": True, "registry": "http://r"}, "rows of a table"),
        ({"input": "avro", "registry": "ftp://r"}, "Invalid url"),
    ],
)
def test_what_cannot_be_is_said_at_the_start(choice: dict[str, Any], said: str) -> None:
    with pytest.raises(KafkaRefused) as refused:
        chosen(Choice(**choice))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("names", [("y",), ("id", "id")])
def test_mistakes_in_model_yaml(names: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="passthrough"):
        spec_of(passthrough=names)


def test_headers_stay_and_tell_what_the_answer_is() -> None:
    format = chosen().format
    assert format.headers([record(b"{}", [("n", b"1"), ("n", None)])])[0] == [("n", b"1"), ("n", None)]
    assert format.headers([record(b"", [("Content-Type", b"avro/binary"), ("n", b"1")])])[0] == [
        ("n", b"1"),
        ("content-type", b"application/json"),
    ]
