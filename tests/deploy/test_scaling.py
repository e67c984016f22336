"""Scaling to zero strands nothing: the triggers, and the SQL of the one that reads the store."""

import itertools
import json
import os
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest
import yaml

from forebay.queue_address import KafkaAddress
from pipelines.store.migrating import upgrade
from pipelines.store.opening import open_database
from tests.deploy.conftest import DEPLOY, OVERLAYS, Tool
from tests.deploy.test_kubernetes import Built, conforms, named
from tests.services.databases import Databases

NAMES = {"store": {"postgresql"}, "sqs": {"postgresql", "aws-sqs-queue"}, "kafka": {"postgresql", "kafka"}}


@pytest.fixture
def overlays(built: Built) -> dict[str, Sequence[dict[str, Any]]]:
    return {name: built(DEPLOY / "kubernetes" / "overlays" / name) for name in OVERLAYS}


@pytest.fixture
def query(overlays: dict[str, Sequence[dict[str, Any]]]) -> str:
    return str(trigger(overlays["store"], "postgresql")["metadata"]["query"])


def triggers(manifests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = named(manifests, "ScaledObject", "forebay-worker")["spec"]["triggers"]
    return found


def trigger(manifests: Sequence[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(one for one in triggers(manifests) if one["type"] == kind)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_workers_scale_to_zero_by_the_queue_and_always_by_the_store(
    overlays: dict[str, Sequence[dict[str, Any]]], overlay: str
) -> None:
    scaled = named(overlays[overlay], "ScaledObject", "forebay-worker")["spec"]
    assert scaled["minReplicaCount"] == 0
    assert {one["type"] for one in scaled["triggers"]} == NAMES[overlay]
    worker = named(overlays[overlay], "Deployment", scaled["scaleTargetRef"]["name"])
    assert "replicas" not in worker["spec"]
    assert len({one["metadata"]["query"] for one in (trigger(built, "postgresql") for built in overlays.values())}) == 1


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_keda_knows_every_parameter_and_has_what_it_needs(
    overlays: dict[str, Sequence[dict[str, Any]]], overlay: str, schemas: Path
) -> None:
    scalers = json.loads((schemas / "scalers.json").read_text())
    for one in triggers(overlays[overlay]):
        known = {parameter["name"]: parameter for parameter in scalers[one["type"]]}
        assert one["metadata"].keys() <= known.keys()
        auth = named(overlays[overlay], "TriggerAuthentication", one["authenticationRef"]["name"])
        secret = {reference["parameter"] for reference in auth["spec"]["secretTargetRef"]}
        needed = {
            name for name, parameter in known.items() if not parameter.get("optional") and "default" not in parameter
        }
        assert needed <= one["metadata"].keys() | secret
        assert all(reference["name"] == "forebay" for reference in auth["spec"]["secretTargetRef"])


def test_secrets_that_keda_reads_are_those_of_the_workers(overlays: dict[str, Sequence[dict[str, Any]]]) -> None:
    for one in (
        manifest for built in overlays.values() for manifest in built if manifest["kind"] == "TriggerAuthentication"
    ):
        worker = named(next(built for built in overlays.values() if one in built), "Deployment", "forebay-worker")
        given = {variable["name"] for variable in worker["spec"]["template"]["spec"]["containers"][0]["env"]}
        assert {reference["key"] for reference in one["spec"]["secretTargetRef"]} <= given


def test_keda_asks_the_queue_that_the_workers_read(overlays: dict[str, Sequence[dict[str, Any]]]) -> None:
    kafka = trigger(overlays["kafka"], "kafka")["metadata"]
    at = KafkaAddress.parse(named(overlays["kafka"], "ConfigMap", "forebay")["data"]["FOREBAY_QUEUE"])
    asked = (kafka["bootstrapServers"], kafka["topic"], kafka["consumerGroup"])
    assert asked == (at.bootstrap, at.topic_of("default"), at.group_of("default"))

    sqs = trigger(overlays["sqs"], "aws-sqs-queue")["metadata"]
    queue = urlsplit(named(overlays["sqs"], "ConfigMap", "forebay")["data"]["FOREBAY_QUEUE"])
    assert (queue.scheme, queue.netloc) == ("sqs", sqs["queueURL"].rpartition("/")[2])
    assert parse_qs(queue.query)["region"] == [sqs["awsRegion"]]
    assert urlsplit(sqs["queueURL"]).netloc == f"sqs.{sqs['awsRegion']}.amazonaws.com"


def test_the_overlay_of_the_guide_builds_and_names_one_queue(
    tmp_path: Path, kustomize: Tool, kubeconform: Tool, schemas: Path
) -> None:
    manifests = list(yaml.safe_load_all(_guides_overlay(tmp_path, kustomize, kubeconform, schemas)))
    asked = trigger(manifests, "aws-sqs-queue")["metadata"]
    queue = urlsplit(named(manifests, "ConfigMap", "forebay")["data"]["FOREBAY_QUEUE"])
    assert (queue.netloc, asked["queueURL"].rpartition("/")[2]) == ("jobs", "jobs")
    assert parse_qs(queue.query)["region"] == [asked["awsRegion"]] == ["eu-west-1"]
    assert urlsplit(asked["queueURL"]).netloc == "sqs.eu-west-1.amazonaws.com"
    assert "podIdentity" not in named(manifests, "TriggerAuthentication", "forebay-sqs")["spec"]


def test_with_the_role_of_the_guide_nothing_wants_a_key(
    tmp_path: Path, kustomize: Tool, kubeconform: Tool, schemas: Path
) -> None:
    manifests = list(yaml.safe_load_all(_guides_overlay(tmp_path, kustomize, kubeconform, schemas, role=True)))
    account = named(manifests, "ServiceAccount", "forebay")
    for name in ("forebay-api", "forebay-worker"):
        pod = named(manifests, "Deployment", name)["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == account["metadata"]["name"]
    upgrade = named(manifests, "Job", "forebay-db-upgrade")["spec"]["template"]["spec"]
    assert "serviceAccountName" not in upgrade, "it talks to the store alone"
    assert named(manifests, "TriggerAuthentication", "forebay-sqs")["spec"] == {"podIdentity": {"provider": "aws"}}
    assert trigger(manifests, "aws-sqs-queue")["authenticationRef"] == {"name": "forebay-sqs"}


def _guides_overlay(folder: Path, kustomize: Tool, kubeconform: Tool, schemas: Path, *, role: bool = False) -> str:
    """What kustomize makes of the files of docs/how-to/deploy.md."""
    guide = (DEPLOY.parent / "docs" / "how-to" / "deploy.md").read_text()
    files = {name: yaml.safe_load(_block(guide, name)) for name in ("kustomization.yaml", "more of kustomization.yaml")}
    overlay = files["kustomization.yaml"]
    ours = os.path.relpath(DEPLOY / "kubernetes", folder.resolve())  # kustomize takes no absolute paths
    overlay["resources"] = [ours + each.partition("/deploy/kubernetes")[2] for each in overlay["resources"]]
    if role:
        for key, more in files["more of kustomization.yaml"].items():
            overlay[key] += more
        (folder / "service-account.yaml").write_text(_block(guide, "service-account.yaml"))
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    built = kustomize("build", folder)
    assert (built.returncode, built.stderr) == (0, "")
    ours_too = [one for one in yaml.safe_load_all(built.stdout) if one["kind"] != "ServiceAccount"]  # none of deploy/
    assert conforms(kubeconform, schemas, yaml.safe_dump_all(ours_too)).returncode == 0
    return built.stdout


def _block(guide: str, name: str) -> str:
    """A file of the guide: indented, below a line that names it, up to the next such line or plain text."""
    _, found, rest = guide.partition(f"\n    # {name}\n")
    assert found, name
    lines = itertools.takewhile(lambda line: line[:4] in ("", "    ") and line[:6] != "    # ", rest.splitlines())
    return textwrap.dedent("\n".join(lines))


@pytest.fixture(scope="module")
def migrated(postgres: Databases) -> Iterator[str]:
    with postgres.database() as url:
        database = open_database(url)
        upgrade(database)
        database.close()
        yield url


@pytest.fixture
def store(migrated: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("TRUNCATE jobs, paused_models")
        yield connection


PUT = """
INSERT INTO jobs (id, tenant, state, model, version, priority, visible_at, deadline_at, submitted_at, queued_at, finished_at,
                  size, inputs, digest)
SELECT gen_random_uuid()::text, 't', %(state)s::text, %(model)s::text, '1', 5, now + %(due_in)s::float8,
       now + %(ends_in)s::float8, now, now, CASE WHEN %(ended)s THEN now END, 0, '', ''
FROM (SELECT extract(epoch FROM clock_timestamp())::float8 AS now) AS clock, generate_series(1, %(rows)s::int)
"""


def put(
    store: psycopg.Connection,
    state: str,
    *,
    due_in: float = -1.0,
    ends_in: float | None = None,
    model: str = "m",
    rows: int = 1,
) -> None:
    """Rows in this state; `due_in`: seconds until they are due or their leases end; `ends_in`: until their deadlines."""
    ended = state not in ("queued", "running")
    given = {"state": state, "model": model, "due_in": due_in, "ends_in": ends_in, "ended": ended, "rows": rows}
    store.execute(PUT, given)


def asked(store: psycopg.Connection, query: str) -> float:
    """As KEDA does: one row, one number."""
    (row,) = store.execute(query.encode()).fetchall()
    return float(row[0])


@pytest.mark.parametrize(
    ("state", "row", "counts"),
    [
        ("queued", {}, True),
        ("queued", {"ends_in": 60.0}, True),
        ("queued", {"due_in": 60.0}, False),  # a retry whose time has not come
        ("queued", {"ends_in": -1.0}, False),  # the sweeper's
        ("queued", {"model": "paused"}, False),
        ("running", {"due_in": 30.0}, True),  # at work: its worker must not be scaled away
        ("running", {"due_in": -1.0}, True),  # its worker died
        ("running", {"due_in": -1.0, "ends_in": -1.0}, False),
        ("succeeded", {}, False),
        ("failed", {}, False),
        ("canceled", {}, False),
        ("expired", {}, False),
    ],
)
def test_what_counts(store: psycopg.Connection, query: str, state: str, row: dict[str, Any], counts: bool) -> None:
    store.execute("INSERT INTO paused_models (model, paused_at) VALUES ('paused', 0)")
    assert asked(store, query) == 0
    put(store, state, **row)
    assert asked(store, query) == counts
    put(store, "queued")
    assert asked(store, query) == counts + 1


def test_counting_ends_at_the_most_replicas_and_reads_no_finished_row(
    store: psycopg.Connection, query: str, overlays: dict[str, Sequence[dict[str, Any]]]
) -> None:
    put(store, "queued", rows=12_000)
    put(store, "succeeded", rows=30_000)
    store.execute("VACUUM ANALYZE jobs")
    scaled = named(overlays["store"], "ScaledObject", "forebay-worker")["spec"]
    target = float(trigger(overlays["store"], "postgresql")["metadata"]["targetQueryValue"])
    assert asked(store, query) == scaled["maxReplicaCount"] * target

    store.execute("UPDATE jobs SET state = 'succeeded', finished_at = 1 WHERE state = 'queued' AND seq > 1000")
    store.execute("VACUUM ANALYZE jobs")
    plan = "\n".join(row[0] for row in store.execute(b"EXPLAIN " + query.encode()).fetchall())
    assert "Seq Scan on jobs" not in plan, plan
