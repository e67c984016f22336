"""`forebay_client.dataset`: what readers by the manifest see, over a folder and S3, at every step of a publication."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forebay_client import ForebayError, NotPublished, dataset, locating, published
from forebay_client.locating import Place
from tests.contract.scoring_attempts import attempt
from tests.contract.scoring_outputs import Subject
from tests.services.moto_server import ACCESS

ROWS = 30


@pytest.fixture
def uri(subject: Subject, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if subject.kind == "folder":
        return str(subject.out)
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)
    return f"{subject.objects.at}?endpoint={request.getfixturevalue('s3')}&region=us-east-1"


def files(run_id: str, count: int = 3) -> dict[str, bytes]:
    """By path, one for each hour, each row with the run's name."""
    return {f"hour={n}/part-{n}-{run_id}.parquet": _parquet(run_id, n, count) for n in range(count)}


def _parquet(run_id: str, part: int, of: int) -> bytes:
    ids = list(range(part, ROWS, of))
    written = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ids, "run": [run_id] * len(ids)}), written)
    return bytes(written.getvalue().to_pybytes())


def runs_seen(uri: str) -> set[str]:
    """Of the rows, which are there once each."""
    table = dataset(uri).to_table()
    assert sorted(table.column("id").to_pylist()) == list(range(ROWS))
    return set(table.column("run").to_pylist())


def test_what_is_published_and_nothing_else(subject: Subject, uri: str) -> None:
    with pytest.raises(NotPublished, match="nothing is published there"):
        dataset(uri)
    attempt(subject.open(), "r1", wanted=files("r1"))
    if subject.kind == "s3":
        subject.put_stranger("hour=0/stranger.parquet")
    found = dataset(uri)
    assert found.schema.names == ["id", "run", "hour"]
    assert len(found.files) == 3
    assert found.to_table(filter=published_hour(2)).column("id").to_pylist() == list(range(2, ROWS, 3))
    assert runs_seen(uri) == {"r1"}


def published_hour(hour: int) -> object:
    import pyarrow.dataset as ds

    return ds.field("hour") == hour


def test_while_it_is_replaced_one_run_is_seen_whole(subject: Subject, uri: str) -> None:
    attempt(subject.open(), "old", wanted=files("old"))
    seen: list[tuple[str, set[str]]] = []
    watching = subject.open(lambda step: seen.append((step, runs_seen(uri))))
    attempt(watching, "new", overwrite=True, wanted=files("new", count=5))
    at_each = [runs for _, runs in seen]
    assert all(runs in ({"old"}, {"new"}) for runs in at_each), seen
    assert at_each[0] == {"old"}
    assert at_each[-1] == runs_seen(uri) == {"new"}
    assert at_each == sorted(at_each, key=lambda runs: runs == {"new"}), "back and forth"
    assert len([step for step, _ in seen if step.startswith("publish-")]) >= 4


class Replaced(Place):
    """Somebody else's run is published between the pointer and its manifest."""

    def read(self, path: str) -> bytes:
        if self.name in REPLACING and path != "_forebay/current.json":
            attempt(REPLACING.pop(self.name).open(), "new", overwrite=True, wanted=files("new"))
        return super().read(path)


REPLACING: dict[str, Subject] = {}


def test_what_is_replaced_while_it_is_looked_up_is_looked_up_again(
    subject: Subject, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempt(subject.open(), "old", wanted=files("old"))
    monkeypatch.setattr(published, "place_of", lambda given: Replaced(**vars(locating.place_of(given))))
    REPLACING[uri] = subject
    assert runs_seen(uri) == {"new"}
    assert not REPLACING


def test_an_old_one_cannot_be_read_and_says_so(subject: Subject, uri: str) -> None:
    attempt(subject.open(), "old", wanted=files("old"))
    found = dataset(uri)
    attempt(subject.open(), "new", overwrite=True, wanted=files("new"))
    with pytest.raises(FileNotFoundError):
        found.to_table()


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    subject = Subject("folder", tmp_path / "out")
    attempt(subject.open(), "r1", wanted=files("r1"))
    (tmp_path / "out" / "hour=0" / "part-0-r1.parquet").unlink()
    with pytest.raises(ForebayError, match=r"a file of what is published is missing: .*part-0-r1\.parquet"):
        dataset(f"file://{tmp_path}/out")


def test_columns_that_folders_name(tmp_path: Path) -> None:
    """Text where one value is no number; what the files hold too has their type."""
    wanted = {
        "region=eu/hour=1/a.parquet": _column("hour", pa.array([1], pa.int16())),
        "region=7/hour=__HIVE_DEFAULT_PARTITION__/b.parquet": _column("hour", pa.array([None], pa.int16())),
        "region=a%2Fb/hour=2/c.parquet": _column("hour", pa.array([2], pa.int16())),
    }
    attempt(Subject("folder", tmp_path / "dt=2026" / "out").open(), "r1", wanted=wanted)
    table = dataset(str(tmp_path / "dt=2026" / "out")).to_table()
    assert table.schema.types == [pa.int16(), pa.string()]
    assert sorted(table.column("region").to_pylist()) == ["7", "a/b", "eu"]


def _column(name: str, values: pa.Array) -> bytes:
    written = pa.BufferOutputStream()
    pq.write_table(pa.table({name: values}), written)
    return bytes(written.getvalue().to_pybytes())


@pytest.mark.parametrize(
    ("uri", "line"),
    [
        ("", "'' is no address of an output: expected a folder, file:///folder or s3://bucket/prefix"),
        ("ftp://host/out", "is no address"),
        ("s3://b/out", "is no address"),
        ("s3://bucket/out?profile=x", "is no address"),
        ("s3://user:secret@bucket/out", "an address with a user in it is no address"),
        ("s3://bucket/out?endpoint=http://a:b@host", "endpoint: expected http://host:port"),
        ("file://elsewhere/out", "is no address"),
    ],
)
def test_what_is_no_address(uri: str, line: str) -> None:
    with pytest.raises(ForebayError, match=line.replace("?", r"\?")) as met:
        dataset(uri)
    assert "\n" not in str(met.value)
    assert "secret" not in str(met.value)


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"manifest": ""}, {"manifest": None}, None], ids=["newer", "empty", "none", "torn"]
)
def test_a_pointer_that_is_none(tmp_path: Path, change: dict[str, object] | None) -> None:
    attempt(Subject("folder", tmp_path / "out").open(), "r1", wanted=files("r1"))
    pointer = tmp_path / "out" / "_forebay" / "current.json"
    text = pointer.read_text()
    pointer.unlink()  # another file has the same bytes, by a link
    pointer.write_text(text[:9] if change is None else json.dumps(json.loads(text) | change))
    with pytest.raises(ForebayError, match=r"current\.json or its manifest is not one that this client knows"):
        dataset(str(tmp_path / "out"))


def test_without_pyarrow_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["pyarrow"] = None
import forebay_client
try:
    forebay_client.dataset("/out")
except forebay_client.ForebayError as met:
    print(met)
print(any(name.partition(".")[0] in ("forebay", "pipelines", "schemas") for name in sys.modules))
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert told == "pyarrow is not installed: pip install 'forebay-client[dataset]'\nFalse\n"
