"""Where payloads are, from the settings."""

from pathlib import Path

import pytest

from forebay.payloads import place_of
from forebay.payloads_address import parse
from forebay.settings import BadSettings, load, shown
from pipelines.s3.address import S3Address

KEY = "AKIAEXAMPLE"


def test_a_bucket() -> None:
    found = parse("s3://bucket-1/a/b/?endpoint=http://127.0.0.1:9000&region=eu-central-1")
    assert found == S3Address("bucket-1", "a/b", "http://127.0.0.1:9000", "eu-central-1")
    assert parse("s3://bucket") == S3Address("bucket", "", None, None)
    assert parse("/mnt/shared") == Path("/mnt/shared")


@pytest.mark.parametrize(
    "given",
    [
        "", "a\0b", "s3://", "s3:///x", "s3://Bucket", "s3://b", f"s3://{KEY}:secret@bucket", "gs://bucket", "s3://bucket/../x",
        "s3://bucket/a b", "s3://bucket?other=1", "s3://bucket?endpoint=", "s3://bucket?endpoint=ftp://x", "s3://bucket?region=EU!",
        f"s3://bucket?endpoint=http://{KEY}:secret@x", "s3://bucket?endpoint=http://x/path", "s3://bucket?endpoint=http://x:99999",
    ],
)  # fmt: skip
def test_what_is_nowhere_is_told_in_one_line_without_secrets(given: str) -> None:
    with pytest.raises(BadSettings) as told:
        load(payloads=given)
    assert str(told.value).startswith("payloads: ")
    assert "\n" not in str(told.value)
    assert KEY not in str(told.value)


def test_the_default_goes_with_the_store(tmp_path: Path) -> None:
    assert place_of(load(home=tmp_path)) == tmp_path / "payloads"
    assert place_of(load(home=tmp_path, store="sqlite:////data/jobs.db")) == Path("/data/jobs.db.payloads")
    assert place_of(load(store="postgresql://user:password@host/database")) is None
    assert place_of(load(store="postgresql://host/database", payloads="/mnt/shared")) == Path("/mnt/shared")


@pytest.mark.parametrize("bytes_", [0, 1023, 256 << 10])
def test_what_a_row_holds_fits_into_a_message(bytes_: int) -> None:
    with pytest.raises(BadSettings, match="inline_bytes"):
        load(inline_bytes=bytes_)
    assert "payloads" in shown(load(inline_bytes=248 << 10))
