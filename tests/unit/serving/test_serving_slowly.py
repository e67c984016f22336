"""What is waited for is said, once, and only when it takes long."""

import logging
import threading

import pytest

from forebay import stores
from forebay.settings import load
from forebay.slowly import said_when_slow
from pipelines.store.port import StoreAway


def test_what_takes_long_is_said_once_and_what_does_not_is_not() -> None:
    told: list[str] = []
    said = threading.Event()

    def tell(line: str) -> None:
        told.append(line)
        said.set()

    with said_when_slow("waiting for nothing", tell, after=60.0):
        pass
    with said_when_slow("waiting for it", tell, after=0.0):
        assert said.wait(10)
    assert told == ["waiting for it"]


def test_a_store_that_does_not_answer_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("forebay.slowly.SAY_AFTER_S", 0.0)
    settings = load(store="postgresql://ann:hunter2@127.0.0.1:1/x")
    with caplog.at_level(logging.WARNING, logger="forebay"), pytest.raises(StoreAway):
        stores.store_of(settings, patience=0.3)
    assert caplog.messages == ["waiting for the store postgresql+psycopg://ann:***@127.0.0.1:1/x"]
