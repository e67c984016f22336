"""From S3 to S3, killed and gone on with."""

from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pytest

from pipelines.s3.address import parse
from pipelines.s3.connecting import Bounds, connect
from tests.scoring.ground import Ground, write_input, write_models
from tests.services.moto_server import ACCESS

ROWS = 3000
OPTIONS = ("--part-rows", "1000", "--run-id", "r", "--passthrough", "id")


@pytest.fixture
def on(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Ground:
    for name, value in ACCESS.items():
        monkeypatch.setenv(name, value)
    address, _, options = bucket.partition("?")
    at = parse(bucket)
    client = connect(at, Bounds())
    for path in write_input(tmp_path / "in", rows=ROWS).iterdir():
        client.upload_file(str(path), at.bucket, "/".join(filter(None, (at.prefix, "features", path.name))))
    client.close()
    models = write_models(tmp_path / "models")
    return Ground(tmp_path, models, f"{address}/features?{options}", f"{address}/scores?{options}", ACCESS)


def _read(on: Ground) -> list[int]:
    listed = on.more("files", on.output)
    assert listed.code == 0, listed.said
    at = parse(on.output)
    assert at.endpoint is not None
    fs = pafs.S3FileSystem(endpoint_override=at.endpoint.removeprefix("http://"), scheme="http", region=at.region)
    paths = [path.removeprefix("s3://").partition("?")[0] for path in listed.wrote.split()]
    return [int(n) for n in ds.dataset(paths, filesystem=fs, format="parquet").to_table().column("id").to_pylist()]


def test_from_s3_to_s3_killed_in_the_middle(on: Ground) -> None:
    on.killed("part-recorded:2", *OPTIONS)
    assert on.more("files", on.output).code == 1, "nothing is published"
    again = on.score(*OPTIONS)
    assert again.summary["rows"] == ROWS
    assert "going on: 2 of" in again.said
    assert sorted(_read(on)) == list(range(ROWS))


def test_what_is_wrong_is_told(on: Ground) -> None:
    gone = Ground(on.folder, on.models, on.input.replace("/features", "/nothing"), on.output, on.env)
    ended = gone.score()
    assert (ended.code, ended.said.count("\n")) == (1, 1)
    assert "nothing is there" in ended.said
    other = Ground(on.folder, on.models, on.input, on.output.replace(parse(on.output).bucket, "no-such-bucket"), on.env)
    ended = other.score()
    assert (ended.code, ended.said.count("\n")) == (1, 1)
    assert "no-such-bucket" in ended.said


def test_the_input_may_be_one_object(on: Ground) -> None:
    one = on.input.replace("/features?", "/features/in-1.parquet?")
    summary = Ground(on.folder, on.models, one, on.output, on.env).score(*OPTIONS).summary
    assert summary["rows"] == ROWS // 3
    assert sorted(_read(on)) == list(range(ROWS // 3, 2 * ROWS // 3))
