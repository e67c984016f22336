"""The service with the real engine: what `forebay score` writes, asked for over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from forebay_client import Client
from tests.e2e.processes import Place, place
from tests.scoring.ground import NAME, contents, ground, scored

ROWS = 4000


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    on = ground(tmp_path / "data", rows=ROWS)
    home = tmp_path / "h"
    home.mkdir()
    with place(home, on.models, None, SCORING_ROOTS=str(tmp_path / "data")) as made:
        yield made


def test_a_run_of_the_service_is_a_run_of_the_command(there: Place, tmp_path: Path) -> None:
    api, worker = there.start("api").ready(), there.start("worker", "--scoring")
    worker.ready()
    data = tmp_path / "data"
    with Client(api.url) as client:
        client.score(NAME, str(data / "in"), str(data / "out"), run_id="r", passthrough=["id"])
        run = client.wait_scoring_run("r", timeout=60)
        assert (run.status, run.error) == ("succeeded", None)
        assert run.summary is not None
        assert (run.summary.rows, run.summary.rejected) == (ROWS, 0)
        assert (run.progress.rows, run.progress.parts) == (ROWS, run.progress.parts_total)
        assert sorted(scored(data / "out").column("id").to_pylist()) == list(range(ROWS))
        before = contents(data / "out")
        client.score(NAME, str(data / "in"), str(data / "out"), run_id="r", passthrough=["id"])
        assert contents(data / "out") == before
        client.score(NAME, str(data / "gone"), str(data / "out2"), run_id="bad")
        bad = client.wait_scoring_run("bad", timeout=60)
        assert bad.status == "failed"
        assert "gone: no such file or folder" in str(bad.error)
    assert worker.code is None
