"""The README's stream quickstart, as it stands there."""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.e2e.processes import place
from tests.services.broker import Broker

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(120)
def test_the_quickstart_works_as_written(kafka: Broker) -> None:
    section = (ROOT / "README.md").read_text().partition("## Score a stream")[2].partition("\n## ")[0]
    (command,) = re.findall(r"forebay (stream .*)", section)
    (script,) = re.findall(r"<<'EOF'\n(.*?)\n    EOF", section, re.DOTALL)
    (dead,) = re.findall(r"forebay (dlq ls --topic .*)", section)
    with (
        tempfile.TemporaryDirectory(prefix="fb-") as folder,
        place(Path(folder), ROOT / "models", KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap) as there,
    ):
        stream = there.start(*command.split()).ready()
        said = subprocess.run(
            [sys.executable, "-c", script.replace("\n    ", "\n").removeprefix("    ")], cwd=ROOT, check=True,
            capture_output=True, text=True, timeout=60,
            env={**os.environ, "FOREBAY_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap},
        ).stdout  # fmt: skip
        answers = [json.loads(line) for line in said.splitlines()]
        assert len(answers) == 5
        assert all(set(answer) == {"probabilities", "label"} for answer in answers)
        listed = there.start(*dead.split())
        assert listed.wait() == 0
        assert "expected shape [64], got string" in listed.said
        assert stream.stop() == 0
    kafka.drop(["digits-in", "digits-in.out", "digits-in.dlq"])
