"""Calls that may never return."""

import threading

import pytest

from pipelines.kafka.bounded import Hung, bounded


def test_what_returns_returns_and_what_raises_raises() -> None:
    done: list[int] = []
    bounded(lambda: done.append(1), 5.0)
    assert done == [1]
    with pytest.raises(ZeroDivisionError):
        bounded(lambda: 1 // 0, 5.0)


def test_what_hangs_is_left() -> None:
    forever = threading.Event()
    with pytest.raises(Hung, match="no answer within"):
        bounded(forever.wait, 0.01)
    forever.set()
