"""A run that is told to stop, while a slow model is at one of the batches that go from step to step."""

import time
from pathlib import Path

import pytest

from forebay.scoring import ScorePlan, score
from forebay.settings import Settings, load
from pipelines.scoring.part import Stopped
from schemas.scoring import PartDone, Plan
from tests.scoring.ground import NAME, write_input, write_models

ROWS = 2000
SLOW = """
import time

def preprocess(inputs):
    time.sleep(0.05)
    return inputs
"""
OF_ALL_S = ROWS * 0.05


class Impatient:
    """Wants no more after the second look."""

    def __init__(self) -> None:
        self.looks = 0

    def planned(self, plan: Plan, rows_done: int, parts_done: int) -> None:
        pass

    def progress(self, rows: int, rejected: int) -> bool:
        self.looks += 1
        return self.looks < 2

    def part(self, done: PartDone) -> None:
        pass


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    models = write_models(tmp_path / "models", hooks=SLOW)
    spec = models / NAME / "model.yaml"
    spec.write_text(spec.read_text().replace("max_batch_size: 1024", "max_batch_size: 4"))
    return load(models=models, home=tmp_path / "home")


def test_it_stops_within_a_batch(settings: Settings, tmp_path: Path) -> None:
    write_input(tmp_path / "in", ROWS)
    plan = ScorePlan(NAME, str(tmp_path / "in"), str(tmp_path / "out"))
    began, observer = time.monotonic(), Impatient()
    with pytest.raises(Stopped):
        score(settings, plan, observer, lambda line: None)
    assert time.monotonic() - began < OF_ALL_S / 5
    assert observer.looks == 2
    assert not (tmp_path / "out").exists()
