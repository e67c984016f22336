"""The checkers, and what they make of the files under deploy/."""

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import tools
from tests.services.require import require

DEPLOY = tools.CHECKOUT / "deploy"
OVERLAYS = ("store", "sqs", "kafka")
FILLED_IN = {
    "POSTGRES_PASSWORD": "0123456789abcdef",
    "S3_SECRET_KEY": "fedcba9876543210",
    "FOREBAY_KEYS": '{"team": "0123456789abcdef"}',
}
"""What a person puts into deploy/.env."""

Tool = Callable[..., subprocess.CompletedProcess[str]]


def _tool(find: Callable[[], Path]) -> Tool:
    try:
        program = find()
    except tools.NoTool as missing:
        require(str(missing))

    def run(*arguments: str | Path, given: str = "", environment: dict[str, str] | None = None) -> Any:
        clean = {name: value for name, value in os.environ.items() if name not in FILLED_IN and name[:8] != "COMPOSE_"}
        return subprocess.run(
            [program, *arguments], input=given, env=clean | (environment or {}), cwd=tools.CHECKOUT, capture_output=True,
            text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def hadolint() -> Tool:
    return _tool(tools.hadolint)


@pytest.fixture(scope="session")
def compose() -> Tool:
    return _tool(tools.compose)


@pytest.fixture(scope="session")
def kustomize() -> Tool:
    return _tool(tools.kustomize)


@pytest.fixture(scope="session")
def kubeconform() -> Tool:
    return _tool(tools.kubeconform)


@pytest.fixture(scope="session")
def schemas() -> Path:
    try:
        return tools.schemas()
    except tools.NoTool as missing:
        require(str(missing))


@pytest.fixture(scope="session")
def composed(compose: Tool) -> Callable[..., dict[str, Any]]:
    """`composed(profile)`: its services by name, with every variable filled in; `gpu=True` with compose.gpu.yml over it."""

    @cache
    def load(profile: str, *, gpu: bool = False) -> dict[str, Any]:
        files = [DEPLOY / "compose.yml", *([DEPLOY / "compose.gpu.yml"] if gpu else [])]
        done = compose("--profile", profile, *files, environment=FILLED_IN)
        assert done.returncode == 0, done.stderr
        services: dict[str, Any] = json.loads(done.stdout)["services"]
        return services

    return load


@pytest.fixture(scope="session")
def built(kustomize: Tool) -> Callable[[Path], Sequence[dict[str, Any]]]:
    """`built(folder)`: the manifests that kustomize makes of it."""

    @cache
    def build(folder: Path) -> Sequence[dict[str, Any]]:
        done = kustomize("build", folder)
        assert done.returncode == 0, done.stderr
        assert not done.stderr, "no warnings"
        return list(yaml.safe_load_all(done.stdout))

    return build
