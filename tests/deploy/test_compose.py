"""compose.yml as compose itself reads it: merged, interpolated, chosen by profile."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from forebay import durations
from forebay.settings import BadSettings, Settings
from tests.deploy.conftest import DEPLOY, FILLED_IN, OVERLAYS, Tool
from tests.deploy.dockerfile import lineage, variables
from tests.deploy.names import is_command, is_setting, settings_of
from tests.deploy.test_images import DOCKERFILE, PROJECT, STAGES
from tests.deploy.tools import CHECKOUT

Composed = Callable[..., dict[str, Any]]
MARGIN = 10.0
"""Seconds beyond the grace: record, settle, close down."""


def ours(services: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in services.items() if service["image"].startswith("forebay-")}


@pytest.mark.parametrize("profile", OVERLAYS)
def test_a_profile_has_an_api_a_worker_and_what_they_wait_for(composed: Composed, profile: str) -> None:
    services = composed(profile)
    for part in ("api", "worker"):
        waits = services[f"{part}-{profile}"]["depends_on"]
        assert waits["upgrade"]["condition"] == "service_completed_successfully"
        assert waits["bucket"]["condition"] == "service_completed_successfully"
    assert {"sqs": "elasticmq", "kafka": "kafka", "store": "postgres"}[profile] in services
    assert sum(name.startswith("api-") for name in services) == 1


@pytest.mark.parametrize("profile", OVERLAYS)
@pytest.mark.parametrize("missing", sorted(FILLED_IN))
@pytest.mark.parametrize("how", ["unset", "empty"])
def test_a_missing_secret_is_named(compose: Tool, profile: str, missing: str, how: str) -> None:
    rest = {name: value for name, value in FILLED_IN.items() if name != missing}
    done = compose(
        "--profile", profile, DEPLOY / "compose.yml", environment=rest | ({missing: ""} if how == "empty" else {})
    )
    assert done.returncode != 0
    assert missing in done.stderr
    assert "see deploy/env.example" in done.stderr


def test_the_example_names_what_is_wanted_and_gives_nothing_away() -> None:
    lines = [line for line in (DEPLOY / "env.example").read_text().splitlines() if line and not line.startswith("#")]
    assert sorted(lines) == sorted(f"{name}=" for name in FILLED_IN)
    wanted = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yml").read_text()))
    assert wanted == FILLED_IN.keys()


@pytest.mark.parametrize("profile", OVERLAYS)
def test_every_variable_is_a_setting_and_every_value_is_taken(composed: Composed, profile: str, tmp_path: Path) -> None:
    for name, service in ours(composed(profile, gpu=True)).items():
        environment = {variable: str(value) for variable, value in service["environment"].items()}
        assert all(is_setting(variable) for variable in environment if variable.startswith("FOREBAY_")), name
        settings = settings_of(environment, tmp_path)
        assert settings.store_url.startswith("postgresql://")
        if name.startswith(("api", "worker")):
            assert settings.host == "0.0.0.0"
            assert settings.tenants


def test_without_keys_nothing_listens_to_others(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="set keys first"):
        settings_of({"FOREBAY_HOST": "0.0.0.0"}, tmp_path)


@pytest.mark.parametrize("profile", OVERLAYS)
def test_commands_are_commands(composed: Composed, profile: str) -> None:
    for name, service in ours(composed(profile)).items():
        if not service.get("entrypoint"):
            assert is_command(service["command"]), name


@pytest.mark.parametrize("profile", OVERLAYS)
def test_a_drain_has_the_time_that_it_was_promised(composed: Composed, profile: str) -> None:
    services = composed(profile)
    for name in (f"api-{profile}", f"worker-{profile}"):
        grace = durations.seconds_of(services[name]["environment"]["FOREBAY_GRACE"])
        assert durations.seconds_of(services[name]["stop_grace_period"]) >= grace + MARGIN


@pytest.mark.parametrize("profile", OVERLAYS)
def test_only_the_api_is_published_and_on_loopback(composed: Composed, profile: str) -> None:
    published = {name: service["ports"] for name, service in composed(profile).items() if service.get("ports")}
    assert published.keys() == {f"api-{profile}"}
    (port,) = published[f"api-{profile}"]
    assert port["host_ip"] == "127.0.0.1"
    inside = int(variables(lineage(STAGES, "api"))["FOREBAY_PORT"])
    assert (port["target"], port["published"]) == (inside, str(Settings.model_fields["port"].default))


@pytest.mark.parametrize("profile", OVERLAYS)
def test_containers_of_ours_may_do_little(composed: Composed, profile: str) -> None:
    for name, service in ours(composed(profile)).items():
        assert service["read_only"], name
        assert service["init"], name
        assert service["cap_drop"] == ["ALL"], name
        written = {mount.partition(":")[0] for mount in service["tmpfs"]}
        assert written == {"/tmp", variables(STAGES["runtime"].lines)["FOREBAY_HOME"]}, name


@pytest.mark.parametrize("profile", OVERLAYS)
def test_every_service_is_pinned_limited_and_healthy_before_it_is_waited_for(composed: Composed, profile: str) -> None:
    services = composed(profile)
    for name, service in services.items():
        assert re.fullmatch(r"[\w/.-]+:v?\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?", service["image"]), name
        assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory"}, name
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert services[needed]["healthcheck"]["test"], needed


@pytest.mark.parametrize("profile", OVERLAYS)
def test_images_of_ours_are_built_from_the_dockerfile(composed: Composed, profile: str) -> None:
    for name, service in ours(composed(profile)).items():
        assert CHECKOUT / service["build"]["dockerfile"] == DOCKERFILE
        assert service["build"]["target"] in STAGES
        assert service["image"].rpartition(":")[2] == PROJECT["version"], name


@pytest.mark.parametrize("profile", OVERLAYS)
def test_with_gpus_a_worker_has_one_and_keeps_the_rest(composed: Composed, profile: str) -> None:
    plain, gpu = composed(profile)[f"worker-{profile}"], composed(profile, gpu=True)[f"worker-{profile}"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert gpu["build"]["target"] == "worker-gpu"
    assert gpu["environment"].items() > plain["environment"].items()
    assert gpu["stop_grace_period"] == plain["stop_grace_period"]


def test_bind_mounts_are_there(composed: Composed) -> None:
    for profile in OVERLAYS:
        for service in composed(profile).values():
            for mount in service.get("volumes") or []:
                assert mount["type"] != "bind" or Path(mount["source"]).exists()


def test_kafka_and_elasticmq_are_the_versions_that_the_tests_run() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yml").read_text())["services"]
    for name, image in (("kafka", "apache/kafka"), ("elasticmq", "softwaremill/elasticmq-native")):
        pom = DEPLOY / "local" / name / "pom.xml"
        if pom.exists():
            version = re.search(rf"<{name}\.version>(.*)</", pom.read_text())
            assert version
            assert services[name]["image"] == f"{image}:{version[1]}"
