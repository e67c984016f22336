"""The drain of a supervisor, on real threads: how long it takes when nothing ends by itself."""

import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from pipelines.flow.served import HookFailed, Prepared
from pipelines.ports import InvalidInput, Tensors
from tests.flow.world import Kind, Model, World
from workers.supervisor import Supervisor

GRACE_S = 1.0
HANGS_DECODING, HANGS = 97, 98


class Hanging(Model):
    """Hangs on the device, at intake, or both, until it is let go."""

    let_go: threading.Event = msgspec.field(default_factory=threading.Event)
    hanging: list[str] = msgspec.field(default_factory=list)

    def prepare(self, raws: Sequence[bytes]) -> list[Prepared | InvalidInput | HookFailed]:
        if any(msgspec.json.decode(raw)["kind"] == HANGS_DECODING for raw in raws):
            self._hang("intake")
        return Model.prepare(self, raws)

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        if any(int(item["x"][1]) == HANGS for item in inputs):
            self._hang("device")
        return Model.predict(self, inputs)

    def _hang(self, where: str) -> None:
        self.hanging.append(where)
        self.let_go.wait(30)


def test_a_drain_takes_no_longer_than_the_grace_though_intake_and_device_hang() -> None:
    world = World(1, broker=False, workers=0)
    model = world.model = Hanging(world.chance)
    world.notices.listen = lambda **_: lambda: None  # type: ignore[method-assign]
    supervisor = Supervisor(world.new_worker(), world.notices, GRACE_S)
    found: list[bool] = []
    serving = threading.Thread(target=lambda: found.append(supervisor.run().clean))
    serving.start()
    for count, kind in enumerate((HANGS, HANGS_DECODING), 1):
        world.submit(kind)
        supervisor.wake()
        _await(lambda count=count: len(model.hanging) == count)  # type: ignore[misc]
    began = time.monotonic()
    supervisor.stop()
    serving.join(20)
    took = time.monotonic() - began
    model.let_go.set()
    assert (found, took < 1.5 * GRACE_S) == ([False], True), f"{took:.1f} s"


def test_what_was_judged_in_a_drain_is_recorded() -> None:
    world = World(1, broker=False, workers=0)
    world.notices.listen = lambda **_: lambda: None  # type: ignore[method-assign]
    supervisor = Supervisor(world.new_worker(), world.notices, GRACE_S)
    ids = [world.submit(Kind.GOOD) for _ in range(5)]
    found: list[bool] = []
    serving = threading.Thread(target=lambda: found.append(supervisor.run().clean))
    serving.start()
    _await(lambda: any(world.row(id).fence for id in ids))
    supervisor.stop()
    serving.join(20)
    assert found == [True]
    assert not any(world.row(id).state == "running" for id in ids)


def _await(look: Callable[[], bool], within: float = 10.0) -> None:
    until = time.monotonic() + within
    while not look():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.005)
