"""The manifests as kustomize builds them: held against Kubernetes' own schemas, against the images and against the settings."""

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from forebay import durations
from tests.deploy.conftest import DEPLOY, OVERLAYS, Tool
from tests.deploy.dockerfile import last, lineage, variables
from tests.deploy.names import is_command, is_setting, settings_of
from tests.deploy.test_images import PROJECT, STAGES
from tests.deploy.tools import KUBERNETES

Built = Callable[[Path], Sequence[dict[str, Any]]]
MARGIN = 15.0
"""Seconds beyond preStop and the grace."""
SECRETS = {
    "FOREBAY_STORE": "postgresql://forebay:secret@postgres/forebay",
    "FOREBAY_KEYS": '{"team": "0123456789abcdef"}',
    "FOREBAY_REDIS": "redis://redis:6379/0",
}
IMAGES = {"forebay-api": "api", "forebay-worker": "worker-cpu", "forebay-worker-gpu": "worker-gpu"}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest, built: Built) -> Sequence[dict[str, Any]]:
    return built(DEPLOY / "kubernetes" / "overlays" / request.param)


def named(manifests: Sequence[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(one for one in manifests if (one["kind"], one["metadata"]["name"]) == (kind, name))


def pods(manifests: Sequence[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, pod and its one container of each Deployment and Job."""
    for one in manifests:
        if one["kind"] in ("Deployment", "Job"):
            pod = one["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            yield one["metadata"]["name"], pod, container


def environment(manifests: Sequence[dict[str, Any]], container: dict[str, Any]) -> dict[str, str]:
    """As the container would have it, with SECRETS in place of what the Secret holds."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= named(manifests, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", []):
        secret = variable.get("valueFrom", {}).get("secretKeyRef")
        if secret:
            assert secret["name"] == "forebay"
            assert secret["key"] == variable["name"]
        found[variable["name"]] = SECRETS.get(variable["name"], "a-secret") if secret else variable["value"]
    return found


def conforms(kubeconform: Tool, schemas: Path, text: str) -> Any:
    where = f"{schemas}/{{{{ .ResourceKind }}}}{{{{ .KindSuffix }}}}.json"
    version = KUBERNETES.rpartition("@v")[2]
    return kubeconform("-strict", "-summary", "-kubernetes-version", version, "-schema-location", where, given=text)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_conform(kustomize: Tool, kubeconform: Tool, schemas: Path, overlay: str) -> None:
    text = kustomize("build", DEPLOY / "kubernetes" / "overlays" / overlay).stdout
    done = conforms(kubeconform, schemas, text)
    assert done.returncode == 0, done.stdout
    assert f"{text.count('apiVersion:') - text.count('  apiVersion:')} resources" in done.stdout
    assert "Invalid: 0, Errors: 0, Skipped: 0" in done.stdout


def test_the_base_conforms_by_itself(kustomize: Tool, kubeconform: Tool, schemas: Path) -> None:
    done = conforms(kubeconform, schemas, kustomize("build", DEPLOY / "kubernetes" / "base").stdout)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("terminationGracePeriodSeconds:", "terminationGracePeriod:"),
        ("containerPort: 8000", "containerPort: http"),
        ("maxReplicaCount: 10", "maxReplicas: 10"),
        ("parameter: connection", "param: connection"),
        ("preStop:\n            sleep:", "preStop:\n            wait:"),
    ],
)
def test_a_mistake_would_be_told(kustomize: Tool, kubeconform: Tool, schemas: Path, was: str, becomes: str) -> None:
    text = kustomize("build", DEPLOY / "kubernetes" / "overlays" / "sqs").stdout
    assert was in text
    assert conforms(kubeconform, schemas, text.replace(was, becomes)).returncode == 1


def test_every_variable_is_a_setting_and_every_value_is_taken(
    manifests: Sequence[dict[str, Any]], tmp_path: Path
) -> None:
    for name, _, container in pods(manifests):
        given = environment(manifests, container)
        assert all(is_setting(variable) for variable in given if variable.startswith("FOREBAY_")), name
        settings = settings_of(given, tmp_path)
        assert settings.store_url == SECRETS["FOREBAY_STORE"]
        assert (settings.host == "0.0.0.0") == (name != "forebay-db-upgrade")


def test_commands_are_commands_and_images_are_ours(manifests: Sequence[dict[str, Any]]) -> None:
    for name, _, container in pods(manifests):
        assert is_command(container["args"]), name
        image, _, tag = container["image"].partition(":")
        assert image in IMAGES
        assert tag == PROJECT["version"]


def test_probes_ask_the_port_that_the_process_serves(manifests: Sequence[dict[str, Any]]) -> None:
    for name, setting in (("forebay-api", "FOREBAY_PORT"), ("forebay-worker", "FOREBAY_METRICS_PORT")):
        container = named(manifests, "Deployment", name)["spec"]["template"]["spec"]["containers"][0]
        (port,) = container["ports"]
        given = environment(manifests, container)
        lines = lineage(STAGES, IMAGES[name])
        assert str(port["containerPort"]) == given[setting] == variables(lines)[setting] == last(lines, "EXPOSE")
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] == port["name"]
        assert (
            container["startupProbe"]["httpGet"]["path"] == container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        )
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_service_finds_the_api(manifests: Sequence[dict[str, Any]]) -> None:
    service = named(manifests, "Service", "forebay-api")["spec"]
    template = named(manifests, "Deployment", "forebay-api")["spec"]["template"]
    assert service["selector"].items() <= template["metadata"]["labels"].items()
    assert service["ports"][0]["targetPort"] == template["spec"]["containers"][0]["ports"][0]["name"]


def test_a_drain_has_the_time_that_it_was_promised(manifests: Sequence[dict[str, Any]]) -> None:
    for name, pod, container in pods(manifests):
        if name == "forebay-db-upgrade":
            continue
        grace = durations.seconds_of(environment(manifests, container)["FOREBAY_GRACE"])
        pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] >= pause + grace + MARGIN
        assert (pause > 0) == (name == "forebay-api")


def test_pods_may_do_little(manifests: Sequence[dict[str, Any]]) -> None:
    user, group = last(lineage(STAGES, "api"), "USER").split(":")
    for name, pod, container in pods(manifests):
        assert (
            pod["securityContext"].items()
            >= {"runAsNonRoot": True, "runAsUser": int(user), "runAsGroup": int(group)}.items()
        )
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
        }, name  # fmt: skip
        written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert written == {variables(STAGES["runtime"].lines)["FOREBAY_HOME"], "/tmp"}
        assert not pod["automountServiceAccountToken"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def test_no_service_becomes_a_setting(manifests: Sequence[dict[str, Any]]) -> None:
    """Kubernetes sets FOREBAY_API_PORT and the like for a Service of that name, and unknown settings are refused."""
    for name, pod, _ in pods(manifests):
        assert pod["enableServiceLinks"] is False, name


def test_disruptions_and_policies_select_the_pods_they_are_for(manifests: Sequence[dict[str, Any]]) -> None:
    labels = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in manifests
              if one["kind"] in ("Deployment", "Job")}  # fmt: skip
    for one in manifests:
        if one["kind"] in ("PodDisruptionBudget", "NetworkPolicy"):
            selector = one["spec"].get("selector") or one["spec"]["podSelector"]
            chosen = [name for name, found in labels.items() if selector["matchLabels"].items() <= found.items()]
            assert chosen == [one["metadata"]["name"].replace("-upgrade", "-db-upgrade")]


def test_secrets_are_not_in_the_files(manifests: Sequence[dict[str, Any]]) -> None:
    assert not [one for one in manifests if one["kind"] == "Secret"]


def test_gpu_workers(tmp_path: Path, kustomize: Tool, kubeconform: Tool, schemas: Path) -> None:
    kubernetes = os.path.relpath(DEPLOY / "kubernetes", tmp_path.resolve())  # kustomize takes no absolute paths
    overlay = {"resources": [f"{kubernetes}/overlays/store"], "components": [f"{kubernetes}/components/gpu"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    text = kustomize("build", tmp_path).stdout
    assert conforms(kubeconform, schemas, text).returncode == 0
    manifests = list(yaml.safe_load_all(text))
    container = named(manifests, "Deployment", "forebay-worker")["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == f"forebay-worker-gpu:{PROJECT['version']}"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert environment(manifests, container)["FOREBAY_DEVICE"] == "cuda"


def test_versions_of_apis_are_stable_ones(manifests: Sequence[dict[str, Any]]) -> None:
    for one in manifests:
        assert re.fullmatch(r"(?:[a-z0-9.]+/)?v\d+|keda\.sh/v1alpha1", one["apiVersion"])
