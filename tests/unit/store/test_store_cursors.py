"""Cursors come back as they went out; anything else is a ValueError."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.store.cursors import decode_cursor, encode_cursor


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 2**63 - 1))
def test_a_cursor_comes_back_exactly(at: float, seq: int) -> None:
    assert decode_cursor(encode_cursor(at, seq), float, int) == (at, seq)
    assert decode_cursor(encode_cursor(seq), int) == (seq,)


@given(st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode().rstrip("=")))
def test_any_text_is_refused_or_read(cursor: str) -> None:
    try:
        (seq,) = decode_cursor(cursor, int)
    except ValueError as refused:
        seq, told = 0, str(refused)
    else:
        told = "cursor: not one that a listing gave out"
    assert isinstance(seq, int)
    assert told == "cursor: not one that a listing gave out"


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [1],
        [1, 2, 3],
        ["1", 2],
        [None, 1],
        {"a": 1},
        7,
        [1.5, 2.5],
        [True, 1],
        [1.0, 2**63],
        [1.0, -(2**63)],
    ],
)
def test_another_listings_cursor_is_refused(parts: Any) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
    with pytest.raises(ValueError, match="cursor"):
        decode_cursor(cursor, float, int)
