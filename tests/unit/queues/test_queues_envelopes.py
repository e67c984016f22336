"""Envelopes as they travel."""

import pytest

from pipelines.ports import Message
from pipelines.queues.envelopes import Origin, decode, encode


def _origin() -> Origin:
    return Origin("q", "1", "q/1")


@pytest.mark.parametrize("inputs", [None, b"", b'{"x":1}', b'{"x":"' + b"y" * 300_000 + b'"}'])
def test_what_is_encoded_is_decoded_whatever_becomes_of_the_input(inputs: bytes | None) -> None:
    found = decode(encode(Message("j", 3, inputs)), _origin)
    small = inputs if inputs and len(inputs) < 100 else None
    assert found == Message("j", 3, small)
