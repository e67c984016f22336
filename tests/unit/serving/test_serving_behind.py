"""Threads beside the API outlive a bug in what they do."""

import logging
import threading
from collections.abc import Callable

import pytest

from forebay.behind import repeat


def test_a_bug_is_told_and_the_thread_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    stopping = threading.Event()
    steps: list[int] = []

    def step() -> None:
        steps.append(1)
        if len(steps) == 1:
            raise KeyError("bug")
        stopping.set()

    _run(step, stopping)
    assert len(steps) == 2
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "janitor: unexpected error; it goes on in 0 s"
    assert record.exc_info is not None


def test_it_ends_when_it_is_stopped() -> None:
    stopping = threading.Event()
    stopping.set()
    _run(lambda: pytest.fail("stepped"), stopping)


def _run(step: Callable[[], object], stopping: threading.Event) -> None:
    thread = repeat("janitor", step, lambda: None, stopping, pause=0.0)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
