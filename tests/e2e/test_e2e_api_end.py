"""`forebay api` on its own: how it ends, and what it says when it cannot begin."""

import http.client
import json
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.processes import Forebay, place

MODELS = Path(__file__).parents[2] / "models"


def test_sigterm_answers_what_is_under_way_and_ends_with_0(tmp_path: Path) -> None:
    with place(tmp_path, MODELS) as there:
        api = there.start("api").ready()
        connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=20)
        pixels = [0.0] * 64
        body = json.dumps({"model": "digits", "inputs": {"pixels": pixels}})
        connection.request("POST", "/predict_async", body, {"Prefer": "wait=20", "Content-Type": "application/json"})
        time.sleep(0.5)
        api.signal(signal.SIGTERM)
        answer = connection.getresponse()
        assert answer.status == 202, "no worker runs: it is queued"
        connection.close()
        assert api.wait() == 0, api.complained


@pytest.mark.parametrize(
    ("host", "told"),
    [("no-such-host.invalid", "the host cannot be resolved"), ("x" * 70 + ".example", "not a host name")],
)
def test_a_host_that_is_none_is_named(tmp_path: Path, host: str, told: str) -> None:
    with place(tmp_path, MODELS) as there:
        api: Forebay = there.start("api", "--host", host, KEYS='{"team": "a-long-random-key"}')
        assert api.wait() == 1
        (line,) = api.complained.splitlines()
        assert line.startswith(f"forebay: address {host}:0: {told}")
        assert line.endswith("choose another --host")
