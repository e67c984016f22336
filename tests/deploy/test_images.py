"""The Dockerfile: a linter's view, and what it names held against the project."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.deploy.conftest import DEPLOY, Tool
from tests.deploy.dockerfile import extras, last, lineage, stages, variables
from tests.deploy.names import is_command
from tests.deploy.tools import CHECKOUT

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
STAGES = stages(DOCKERFILE)
IMAGES = ("api", "worker-cpu", "worker-gpu")
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
PINS = dict(line.split("==") for line in (CHECKOUT / "constraints.txt").read_text().splitlines() if "==" in line)
RUNTIMES = {"cpu", "gpu", "torch"}


def test_hadolint_has_nothing_to_say(hadolint: Tool) -> None:
    done = hadolint("--failure-threshold", "style", DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_say_something(hadolint: Tool) -> None:
    done = hadolint("-", given="FROM debian\nRUN cd /tmp && pip install forebay\nENTRYPOINT forebay\n")
    assert done.returncode == 1
    assert {"DL3006", "DL3013", "DL3025", "DL3003"} <= set(re.findall(r"DL\d+", done.stdout))


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_number_in_exec_form_and_stops_by_a_drain(image: str) -> None:
    lines = lineage(STAGES, image)
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last(lines, "USER"))
    assert last(lines, "ENTRYPOINT") == ["forebay"]
    assert last(lines, "STOPSIGNAL") == "SIGTERM"
    command = last(lines, "CMD")
    assert is_command(command)
    assert command == [image.partition("-")[0]]


@pytest.mark.parametrize("image", IMAGES)
def test_the_health_check_asks_the_port_that_is_exposed(image: str) -> None:
    lines = lineage(STAGES, image)
    program, script, variable = last(lines, "HEALTHCHECK")
    assert program == "python"
    assert ("COPY", f"deploy/docker/{Path(script).name} {script}") in lines
    assert variables(lines)[variable] == last(lines, "EXPOSE")


def test_the_api_has_no_model_runtime_and_each_worker_its_own() -> None:
    asked = {image: set(extras(STAGES, f"{image}-packages")) for image in IMAGES}
    assert asked["api"] == {"kafka", "sqs", "redis"}
    assert asked["worker-cpu"] == asked["api"] | {"cpu", "scoring"}
    assert asked["worker-gpu"] == asked["api"] | {"gpu", "torch", "scoring"}
    assert asked["worker-gpu"] <= set(PROJECT["optional-dependencies"])
    assert not asked["api"] & RUNTIMES


@pytest.mark.parametrize("image", IMAGES)
def test_every_requirement_of_an_image_is_pinned(image: str) -> None:
    wanted = [*PROJECT["dependencies"], *(line for extra in extras(STAGES, f"{image}-packages")
                                          for line in PROJECT["optional-dependencies"][extra])]  # fmt: skip
    names = {re.match(r"[A-Za-z0-9_.-]+", line)[0].lower() for line in wanted}  # type: ignore[index]  # each has a name
    assert not names - PINS.keys()


def test_onnxruntime_for_gpus_is_the_one_that_was_tested_on_cpu() -> None:
    assert PINS["onnxruntime-gpu"] == PINS["onnxruntime"]


def test_bases_are_pinned_and_python_is_one_that_forebay_runs_on() -> None:
    outside = {stage.base for stage in STAGES.values()} - STAGES.keys()
    assert len(outside) == 1
    tag = re.fullmatch(r"python:(\d+\.\d+)\.\d+-slim-[a-z]+(@sha256:[0-9a-f]{64})?", outside.pop())
    assert tag
    assert f"Programming Language :: Python :: {tag[1]}" in PROJECT["classifiers"]
    libraries = variables(lineage(STAGES, "worker-gpu"))["LD_LIBRARY_PATH"].split(":")
    assert all(path.startswith(f"/opt/venv/lib/python{tag[1]}/site-packages/nvidia/") for path in libraries)


def test_all_that_is_packaged_is_copied() -> None:
    copied = {rest.split()[0] for kind, rest in STAGES["wheel"].lines if kind == "COPY"}
    wheel = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert set(wheel["packages"]) <= copied
    sent = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = {part for stage in STAGES.values() for kind, rest in stage.lines if kind == "COPY" and "--from" not in rest
               for part in rest.split()[:-1]}  # fmt: skip
    assert all(any(source == kept or source.startswith(f"{kept}/") for kept in sent) for source in sources)


def test_the_version_is_this_release() -> None:
    label = next(rest for kind, rest in STAGES["runtime"].lines if kind == "LABEL")
    assert f'version="{PROJECT["version"]}"' in label
    tags = re.findall(r"forebay-(?:api|worker|worker-gpu):([\w.]+)", DOCKERFILE.read_text())
    assert set(tags) == {PROJECT["version"]}
