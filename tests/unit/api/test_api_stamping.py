"""What became of messages is written into their rows: late and together when they were sent, at once when they were not."""

import time

from api.stamping import MOST, Stamper
from pipelines.ports import Message
from tests.unit.api.api_fakes import FakeStore
from tests.unit.api.test_api_sending import until


def messages(first: int, count: int) -> list[Message]:
    return [Message(f"j{n}", 0, b"{}") for n in range(first, first + count)]


def test_what_was_sent_is_stamped_together_after_a_while() -> None:
    store = FakeStore()
    stamper = Stamper(store, time.monotonic, every=0.05)
    stamper.start()
    stamper.confirmed(messages(0, 2))
    stamper.confirmed(messages(2, 1))
    assert not store.stamped
    until(lambda: store.stamped == ["j0", "j1", "j2"])
    stamper.confirmed(messages(3, 1))
    until(lambda: store.stamped[3:] == ["j3"])
    stamper.stop(5)


def test_what_was_not_sent_is_the_sweepers_at_once() -> None:
    store = FakeStore()
    stamper = Stamper(store, time.monotonic, every=3600)
    stamper.start()
    stamper.confirmed(messages(0, 1))
    stamper.left(messages(1, 2))
    until(lambda: store.left == ["j1", "j2"])
    assert not store.stamped
    stamper.stop(5)
    assert store.stamped == ["j0"], "the end does not wait"


def test_a_store_that_is_away_ends_nothing() -> None:
    store = FakeStore()
    stamper = Stamper(store, time.monotonic, every=0)
    store.refuse_stamps = True
    stamper.start()
    stamper.confirmed(messages(0, 1))
    stamper.left(messages(1, 1))
    until(lambda: store.left == ["j1"])
    store.refuse_stamps = False
    stamper.confirmed(messages(2, MOST + 1))
    until(lambda: len(store.stamped) == MOST + 1)
    stamper.stop(5)
