"""Nothing leads out of the roots that the operator names."""

from pathlib import Path

import pytest

from pipelines.scoring.locations import LocationRefused, Locations
from schemas.scoring_runs import ScoringRequest

LAKE = "s3://lake/nightly?endpoint=http://10.0.0.5:9000&region=us-east-1"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data" / "in").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "data"


def request(input: str, output: str) -> ScoringRequest:
    return ScoringRequest(model="m", input=input, output=output)


def admitted(roots: list[str], input: str, output: str, tenant: str = "default") -> tuple[str, str]:
    found = Locations(roots).admitted(request(input, output), tenant)
    return found.input, found.output


def refused(roots: list[str], input: str, output: str, tenant: str = "default") -> LocationRefused:
    with pytest.raises(LocationRefused) as caught:
        Locations(roots).admitted(request(input, output), tenant)
    assert "\n" not in str(caught.value)
    return caught.value


def test_folders_below_a_root(root: Path) -> None:
    assert admitted([str(root)], f"{root}/in", f"{root}/out/dt=1") == (f"{root}/in", f"{root}/out/dt=1")
    assert admitted(["/nowhere", f"{root}/"], f"file://{root}/in", f"{root}/out") == (f"{root}/in", f"{root}/out")


def test_without_roots_the_service_is_off() -> None:
    assert "FOREBAY_SCORING_ROOTS" in str(refused([], "/in", "/out"))


def test_the_root_itself_is_an_input_and_no_output(root: Path) -> None:
    assert admitted([str(root)], str(root), f"{root}/out")[0] == str(root)
    assert refused([str(root)], f"{root}/in", str(root)).field == "output"
    assert refused(["s3://lake/a"], "s3://lake/a", "s3://lake/a/").field == "output"


@pytest.mark.parametrize(
    "path",
    ["/etc", "{root}2/x", "{root}/../outside", "{root}/in/%2e%2e/%2e%2e/outside", "{root}/in/%252e%252e/x", "{root}/./in",
     "{root}/in/..\\..\\x", "in", "~/in", "", "file://host{root}/in", "file://{root}/%2e%2e", "{root}/in\n", "//../etc",
     "postgresql://user:password@host/db#t", "http://169.254.169.254/", "gs://lake/x", "s3:/lake/x"],
)  # fmt: skip
def test_what_leads_out_of_a_folder_is_refused(root: Path, path: str) -> None:
    told = refused([str(root)], path.format(root=root), f"{root}/out")
    assert told.field == "input"
    assert "password" not in str(told)
    assert refused([str(root)], f"{root}/in", path.format(root=root)).field == "output"


def test_links_are_followed(root: Path) -> None:
    (root / "away").symlink_to(root.parent / "outside")
    (root / "near").symlink_to(root / "in")
    assert refused([str(root)], f"{root}/in", f"{root}/away/out").field == "output"
    assert refused([str(root)], f"{root}/away", f"{root}/out").field == "input"
    assert admitted([str(root)], f"{root}/near", f"{root}/out")[0] == f"{root}/near"


def test_a_root_may_be_a_link(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    link = f"{root.parent}/link"
    assert admitted([link], f"{link}/in", f"{root}/out") == (f"{link}/in", f"{root}/out")


def test_a_link_that_was_changed_after_the_submission_is_found_when_it_runs(root: Path) -> None:
    locations = Locations([str(root)])
    asked = request(f"{root}/in", f"{root}/out")
    locations.admitted(asked, "default")
    (root / "out").symlink_to(root.parent / "outside")
    with pytest.raises(LocationRefused):
        locations.admitted(asked, "default")


def test_buckets_get_the_roots_options() -> None:
    source, target = admitted([LAKE], "s3://lake/nightly", "s3://lake/nightly/out/dt=a%2Fb?region=us-east-1")
    options = "endpoint=http://10.0.0.5:9000&region=us-east-1"
    assert (source, target) == (f"s3://lake/nightly?{options}", f"s3://lake/nightly/out/dt=a%2Fb?{options}")


@pytest.mark.parametrize(
    "uri",
    ["s3://lake/nightly2/x", "s3://lake/other", "s3://lake", "s3://other/nightly/x", "s3://lake/nightly/../x",
     "s3://lake/nightly/%2E%2E/x", "s3://lake/nightly/x?endpoint=http://evil", "s3://lake/nightly/x?secret=1",
     "s3://lake/nightly/x?region=us-east-1&region=x", "s3://key:secret@lake/nightly/x", "s3:///nightly/x",
     "s3://lake/nightly/x#t", "s3://lake/nightly/x?endpoint=http://u:secret@10.0.0.5:9000"],
)  # fmt: skip
def test_what_leads_out_of_a_bucket_is_refused(uri: str) -> None:
    assert "secret" not in str(refused([LAKE], uri, "s3://lake/nightly/out"))


def test_without_an_endpoint_in_the_root_there_is_none() -> None:
    refused(["s3://lake/nightly"], "s3://lake/nightly/x?endpoint=http://evil", "s3://lake/nightly/out")


def test_tables_get_the_roots_user_and_options() -> None:
    roots = ["s3://lake/nightly", "postgresql://me:s3cret@db:5432/lake?sslmode=require#scores"]
    asked = "postgresql://DB:5432/lake?mode=upsert&key=id,ts#scores.nightly"
    found = admitted(roots, "s3://lake/nightly/in", asked)[1]
    assert found == "postgresql://me:s3cret@DB:5432/lake?sslmode=require&mode=upsert&key=id,ts#scores.nightly"


@pytest.mark.parametrize(
    "uri",
    ["postgresql://db/lake#t", "postgresql://db/lake#other.t", "postgresql://db/other#scores.t", "postgresql://evil/lake#scores.t",
     "postgresql://me@db/lake#scores.t", "postgresql://db/lake?sslmode=disable#scores.t", "postgresql://db/lake?host=evil#scores.t",
     "postgresql://db/lake#scores._forebay_scoring", "postgresql://db/lake#scores.t_rejects", "postgresql://db/lake#scores"],
)  # fmt: skip
def test_what_leads_out_of_a_schema_is_refused(uri: str) -> None:
    told = refused(["s3://lake/nightly", "postgresql://me:s3cret@db/lake#scores"], "s3://lake/nightly/in", uri)
    assert told.field == "output"
    assert "s3cret" not in str(told)


def test_tables_are_refused_where_no_root_names_a_schema() -> None:
    told = refused(["s3://lake/nightly"], "s3://lake/nightly/in", "postgresql://db/lake#t")
    assert "FOREBAY_SCORING_ROOTS" in str(told)
    refused(["postgresql://db/lake#s"], "postgresql://db/lake#s.t", "postgresql://db/lake#s.t")


def test_a_tenants_own_schema() -> None:
    roots = ["s3://lake/in", "postgresql://db/lake#of_{tenant}"]
    assert (
        admitted(roots, "s3://lake/in", "postgresql://db/lake#of_team-a.1.t", "team-a.1")[1]
        == "postgresql://db/lake#of_team-a.1.t"
    )
    refused(roots, "s3://lake/in", "postgresql://db/lake#of_a.t", "b")


def test_a_tenants_own_root(root: Path) -> None:
    roots = ["s3://lake/{tenant}/x", f"{root}/{{tenant}}"]
    assert admitted(roots, "s3://lake/a/x/in", f"{root}/a/out", "a") == ("s3://lake/a/x/in", f"{root}/a/out")
    assert refused(roots, "s3://lake/a/x/in", f"{root}/a/out", "b").field == "input"


@pytest.mark.parametrize(
    "root",
    [
        "data",
        "",
        "gs://lake",
        "s3://",
        "s3://u:secret@lake",
        "/data/../x",
        "s3://lake?x=1",
        "postgresql://u:secret@db/lake",
        "postgresql://u:secret@db/l?mode=upsert&key=a#s",
    ],
)
def test_a_root_that_is_none(root: str) -> None:
    with pytest.raises(ValueError) as caught:
        Locations([root])
    assert "secret" not in str(caught.value)
