"""No Docker engine runs here, so the steps of the API's image run in a fresh environment: installed, started, asked."""

import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.deploy.dockerfile import extras, last, lineage
from tests.deploy.test_images import STAGES
from tests.deploy.tools import CHECKOUT
from tests.services.ports import steady_port

pytestmark = pytest.mark.timeout(300)

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
QUICK = {"PIP_NO_COMPILE": "1"}
"""Half of the time would go into bytecode."""


def run(command: list[str], folder: Path, **more: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=os.environ | QUICK | more, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the builder is sent and the stages `builder` and `wheel` copy."""
    source = tmp_path_factory.mktemp("src")
    for stage in ("builder", "wheel"):
        for kind, rest in STAGES[stage].lines:
            if kind == "COPY":
                *files, _ = rest.split()
                for file in files:
                    copy(CHECKOUT / file, source)
    return source


def copy(what: Path, into: Path) -> None:
    if what.is_dir():
        shutil.copytree(what, into / what.name, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(what, into)


@pytest.fixture(scope="module")
def installed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment's folder."""
    environment = tmp_path_factory.mktemp("opt") / "venv"
    venv.create(environment, with_pip=False, symlinks=True)
    pip = [*PIP, "--python", str(environment / "bin" / "python"), "install"]
    wanted = run([sys.executable, "requirements.py", *extras(STAGES, "api-packages")], source)
    (source / "requirements.txt").write_text(wanted)
    run([*pip, "-c", "constraints.txt", "-r", "requirements.txt"], source)
    builder = last(STAGES["wheel"].lines[:2], "RUN").split()[-1]
    tools = tmp_path_factory.mktemp("tools")
    run([*PIP, "install", "--target", str(tools), builder], source)
    wheel = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", "wheels", "."]
    run(wheel, source, PYTHONPATH=str(tools))
    (made,) = (source / "wheels").glob("*.whl")
    run([*pip, "--no-deps", "--no-index", str(made)], source)
    return environment


def test_the_api_is_installed_by_the_images_steps_without_a_model_runtime_and_answers(
    installed: Path, source: Path, tmp_path: Path
) -> None:
    there = {file.name.lower() for file in (installed / "lib").glob("python*/site-packages/*")}
    assert {"forebay", "fastapi", "confluent_kafka", "boto3", "redis"} <= there
    assert not {name for name in there if re.fullmatch(r"(torch|onnxruntime|nvidia|pip)([-_.].*)?", name)}

    shutil.copytree(CHECKOUT / "models" / "digits", tmp_path / "models" / "digits")
    port = steady_port()
    environment = {
        "PATH": f"{installed / 'bin'}:{os.environ['PATH']}",
        "FOREBAY_HOME": str(tmp_path / "home"),
        "FOREBAY_MODELS": str(tmp_path / "models"),
        "FOREBAY_PORT": str(port),
        "FOREBAY_HOST": "0.0.0.0",
        "FOREBAY_KEYS": '{"team": "0123456789abcdef"}',
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    lines = lineage(STAGES, "api")
    command = [str(installed / "bin" / last(lines, "ENTRYPOINT")[0]), *last(lines, "CMD")]
    _, script, variable = last(lines, "HEALTHCHECK")
    healthy = [sys.executable, str(CHECKOUT / "deploy" / "docker" / Path(script).name), variable]
    assert subprocess.run(healthy, env=environment, check=False).returncode == 1
    with subprocess.Popen(
        command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as api:
        try:
            assert api.stdout is not None
            assert b"forebay api is ready" in api.stdout.readline()
            assert subprocess.run(healthy, env=environment, check=False).returncode == 0
        finally:
            api.send_signal(getattr(signal, last(lines, "STOPSIGNAL")))
            assert api.wait(30) == 0


def test_without_keys_the_image_ends_with_one_line(installed: Path, tmp_path: Path) -> None:
    environment = {"FOREBAY_HOST": "0.0.0.0", "FOREBAY_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [str(installed / "bin" / "forebay"), "api"]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1
    assert "set keys first" in done.stderr


def test_the_image_brings_the_migrations(installed: Path, tmp_path: Path) -> None:
    environment = {"FOREBAY_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    command = [str(installed / "bin" / "forebay"), "db", "upgrade"]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, "made, level" in done.stdout) == (0, True), done.stderr
