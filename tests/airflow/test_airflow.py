"""The tests of deploy/airflow, run by the Python that has Airflow: it pins versions that Forebay does not. They start Forebay by
this one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.require import require

CHECKOUT = Path(__file__).parents[2]
PACKAGE = CHECKOUT / "deploy" / "airflow"
WITHIN = 500.0


def airflow_python() -> Path:
    """That of `make airflow`, or of the environment that FOREBAY_TEST_AIRFLOW names."""
    python = Path(os.environ.get("FOREBAY_TEST_AIRFLOW") or CHECKOUT / ".venv-airflow") / "bin" / "python"
    if not python.exists():
        require(f"Airflow is not installed, {python} is missing: run `make airflow`")
    return python.absolute()


@pytest.mark.timeout(WITHIN + 30)
def test_forebay_airflow_in_airflows_own_environment() -> None:
    command = [str(airflow_python()), "-m", "pytest", "-q", "--no-header", "--tb=short"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    environment["FOREBAY_TEST_PYTHON"] = sys.executable
    done = subprocess.run(
        command, cwd=PACKAGE, env=environment, capture_output=True, text=True, check=False, timeout=WITHIN
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
