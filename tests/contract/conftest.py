"""Outputs of the scoring lane, in a folder, in a bucket and in a table."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.s3.address import S3Address
from pipelines.s3.connecting import Bounds, connect
from pipelines.scoring.storage.s3.objects import Objects
from tests.contract.scoring_outputs import Subject
from tests.services.moto_server import ACCESS


@pytest.fixture(scope="session")
def s3_client(s3: str) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ACCESS.items():
            patch.setenv(name, value)
        client = connect(S3Address("any", endpoint=s3, region="us-east-1"), Bounds(attempts=2))
    yield client
    client.close()


@pytest.fixture
def output_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Subject]:
    def make(kind: str) -> Subject:
        out = tmp_path / "data" / "scored"
        if kind == "folder":
            return Subject(kind, out)
        if kind == "table":
            return Subject(kind, out, table=f"{request.getfixturevalue('postgres_url')}#scores")
        client, name = request.getfixturevalue("s3_client"), f"forebay-{uuid.uuid4().hex[:16]}"
        client.create_bucket(Bucket=name)
        return Subject(kind, out, Objects(client, S3Address(name, "outputs/scored")))

    return make


@pytest.fixture(params=["folder", "s3"])
def subject(request: pytest.FixtureRequest, output_of: Callable[[str], Subject]) -> Subject:
    return output_of(request.param)


@pytest.fixture(params=["folder", "s3", "table"])
def any_subject(request: pytest.FixtureRequest, output_of: Callable[[str], Subject]) -> Iterator[Subject]:
    """For what is the same of files and of rows."""
    subject = output_of(request.param)
    yield subject
    subject.close()
