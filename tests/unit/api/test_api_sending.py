"""The thread that tells the broker: what readiness says of it."""

import time
from collections.abc import Callable

from api.sending import Sender
from pipelines.store.memory import MemoryStore
from schemas.jobs import Submission
from tests.unit.api.api_fakes import FakeOutlet


def until(done: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not done():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_an_input_that_was_put_elsewhere_does_not_travel() -> None:
    outlet = FakeOutlet()
    sender = Sender(outlet, MemoryStore(time.time), time.monotonic)
    sender.start()
    sender.send([Submission("j", "default", "m", "1", b"", b"d", inputs_ref="default/uploads/0", referred=9)])
    until(lambda: bool(outlet.sent))
    assert outlet.sent[0].inputs is None
    sender.stop()


def test_a_broker_that_is_back_is_seen_without_a_submission() -> None:
    outlet = FakeOutlet()
    outlet.up = False
    sender = Sender(outlet, MemoryStore(time.time), time.monotonic, look_every=0.01)
    sender.start()
    sender.send([Submission("j", "default", "m", "1", b"{}", b"d")])
    until(lambda: sender.degraded)
    outlet.up = True
    until(lambda: not sender.degraded)
    assert [message.id for message in outlet.sent] == ["j"], "what was left is the sweeper's to send"
    sender.stop()
