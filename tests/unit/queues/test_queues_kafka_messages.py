"""Messages on Kafka: what goes out comes back, and what is no message is a value with its reason."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from pipelines.admission.direct import Direct
from pipelines.ports import Message
from pipelines.queues.kafka_messages import decode, encode
from schemas.envelope import INLINE_BYTES
from schemas.strays import Stray


class Written(Struct, frozen=True):
    given: bytes | None
    named: bytes | None = b"job-1"
    carried: tuple[tuple[str, bytes | None], ...] = ()

    def topic(self) -> str:
        return "jobs"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 17

    def key(self) -> bytes | None:
        return self.named

    def value(self) -> bytes | None:
        return self.given

    def headers(self) -> list[tuple[str, str | bytes | None]]:
        return list(self.carried)


_ids = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=128)
_inputs = st.none() | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), st.integers()).map(
    msgspec.json.encode
)


@given(_ids, st.integers(0, 2**31 - 1), _inputs)
def test_what_goes_out_comes_back(id: str, generation: int, inputs: bytes | None) -> None:
    key, value = encode(Message(id, generation, inputs))
    assert key == id.encode()
    assert decode(Written(value, key)) == Message(id, generation, inputs)


def test_a_large_input_stays_in_its_row() -> None:
    _, value = encode(Message("job-1", 0, b'"%s"' % (b"x" * INLINE_BYTES)))
    assert decode(Written(value)) == Message("job-1", 0)
    assert len(value) < 100


def test_an_input_that_is_not_what_its_digest_says_is_left_to_the_row() -> None:
    value = b'{"id":"job-1","generation":2,"digest":"%s","inputs":{"x":2}}' % (
        hashlib.sha256(b'{"x":1}').hexdigest().encode()
    )
    assert decode(Written(value)) == Message("job-1", 2)


def test_an_envelope_of_a_later_release_still_wakes_its_row() -> None:
    assert decode(Written(b'{"v":9,"id":"job-1","generation":0,"shard":"a"}')) == Message("job-1", 0)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "no value"),
        (b"", "no envelope"),
        (b"\xff\xfe", "no envelope"),
        (b'"\xff"', "no envelope"),
        (b"[" * 100_000, "no envelope"),
        (b'{"id":"a"}', "generation"),
        (b'{"id":7,"generation":0}', "$.id"),
        (b'{"id":"","generation":0}', "id: expected 1 to 128"),
        (b'{"id":"a\\u0000","generation":0}', "id: expected"),
        (b'{"id":"\\ud800","generation":0}', ""),
        (b'{"id":"%s","generation":0}' % (b"x" * 129), "id: expected"),
        (b'{"id":"a","generation":-1}', "generation: expected"),
        (b'{"id":"a","generation":%s}' % (b"9" * 30), "generation"),
        (b'{"model":7,"inputs":{}}', "id"),
        (b'{"model":"no name","inputs":{}}', "id"),
        (b'{"model":"digits","inputs":"\xff"}', "no envelope"),
        (b'{"id":"a","generation":0,"model":[]}', "model: expected its name"),
    ],
)
def test_what_is_no_message_is_kept_whole(value: bytes | None, told: str) -> None:
    found = decode(Written(value, b"\x00key", (("h", b"\xff"), ("n", None))))
    assert isinstance(found, Stray)
    assert (found.source, found.position, found.raw, found.key) == ("jobs", "3@17", value, b"\x00key")
    assert found.headers == (("h", b"\xff"), ("n", None))
    assert told in found.error
    assert "\n" not in found.error


@pytest.mark.parametrize(
    "value",
    [
        b'{"model":"digits","inputs":{}}',
        b'{"model":"digits"}',
        b'{"model":"digits","id":7,"version":[],"priority":"high"}',
        b'{"model":"digits","id":"a","generation":0,"inputs":{}}',
    ],
)
def test_what_names_a_model_is_a_job_that_another_service_put_there(value: bytes) -> None:
    found = decode(Written(value, b"key", (("h", b"1"),)))
    assert isinstance(found, Direct)
    assert (found.origin, found.sketch.model) == ("jobs-3@17", "digits")
    assert (found.as_it_came.raw, found.as_it_came.headers) == (value, (("h", b"1"),))


@given(st.binary(max_size=200))
def test_no_bytes_raise(value: bytes) -> None:
    assert isinstance(decode(Written(value)), Message | Stray | Direct)
