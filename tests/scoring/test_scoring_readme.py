"""README's nightly section, as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.processes import ROOT, clean_environment


def test_the_nightly_section_works_as_written(tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## Score a data set every night")[2].partition("\n## ")[0]
    commands = re.findall(r"^\$ (.*)", section, re.MULTILINE)
    assert commands[0].startswith(".venv/bin/pip install")
    shutil.copytree(ROOT / "models", tmp_path / "models")
    said = ""
    for command in commands[1:]:
        written = command.replace(".venv/bin/", f"{Path(sys.executable).parent}/")
        done = subprocess.run(
            ["bash", "-euc", written], cwd=tmp_path, env={**clean_environment(), "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
        said += done.stdout
    rows = len((ROOT / "models" / "digits" / "heldout.jsonl").read_text().splitlines())
    assert f"{rows} rows scored" in said
    assert "dt=2026-11-20" in said
    assert "probabilities" in said
    assert os.path.exists(tmp_path / "scores" / "dt=2026-11-20" / "_SUCCESS")
