"""SIGTERM under load: what runs is finished, what waits goes back, no attempt is spent; a second signal stops at once."""

import signal
import time

import pytest

from tests.e2e import probe
from tests.e2e.clients import load, submit_all
from tests.e2e.probe import Kind
from tests.e2e.processes import Forebay, eventually
from tests.e2e.stage import Ground, Stage, stage


def _busy(on: Stage, worker: Forebay) -> None:
    eventually(lambda: sum(pid == worker.pid for pid, _ in on.runs()) > 20, 30)


@pytest.mark.timeout(120)
def test_sigterm_drains_and_spends_no_attempt(ground: Ground) -> None:
    # A lease that outlives the test: what comes to an end does so by the drain, never because a lease ended.
    with stage(ground.store, {"slow_s": 0.003}, LEASE="5m", **ground.settings) as on:
        api = on.place.start("api").ready()
        with load(lambda: api.url, on.history, clients=3, pause=0.01):
            for _ in range(2):
                worker = on.place.start("worker").ready()
                _busy(on, worker)
                began = time.monotonic()
                worker.signal(signal.SIGTERM)
                assert worker.wait(10) == 0
                assert time.monotonic() - began < 5
                assert on.rows.count("running") == 0, "the drain left leases behind"
                assert "Traceback" not in worker.complained
        on.place.start("worker").ready()
        on.rest(within=40)
        rows = on.check()
        assert all((row.failures, row.starts) == (0, 0) for row in rows)
        assert len(on.runs()) == len(rows), "an item was run again, though every worker drained"


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_a_second_signal_stops_hard(first: signal.Signals, second: signal.Signals) -> None:
    with stage(None) as on:
        api, worker = on.serve()
        submit_all(api.url, on.history, [(n, Kind.WAIT) for n in range(1, 5)])
        eventually(lambda: on.rows.count("running") > 0 and on.runs(), 10)
        worker.signal(first)
        time.sleep(0.5)
        assert worker.code is None, "the drain did not wait for the running batch"
        began = time.monotonic()
        worker.signal(second)
        assert worker.wait(5) != 0
        assert time.monotonic() - began < 1
        assert "stopped hard" in worker.complained
        assert "Traceback" not in worker.complained
        (on.model / probe.GO).touch()
        on.place.start("worker").ready()
        on.rest(within=20)
        assert all(row.failures == 0 for row in on.check())
