import shutil
from pathlib import Path

import pytest
from cli_driver import REPOSITORY, Command


@pytest.fixture
def forebay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOREBAY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FOREBAY_MODELS", str(tmp_path / "models"))
    shutil.copytree(REPOSITORY / "models", tmp_path / "models")
    return Command(capsys, tmp_path)
