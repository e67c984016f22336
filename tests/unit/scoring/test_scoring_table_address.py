"""Addresses of tables: what they mean, and that a password is in no message."""

import pytest

from pipelines.scoring.faults import BadOrder
from pipelines.scoring.storage.opening import open_storage
from pipelines.scoring.storage.postgres.address import parse


def test_what_an_address_means() -> None:
    at = parse("postgresql://me:s%40cret@db:5432/lake?mode=upsert&sslmode=require&key=id,ts#nightly.scores")
    assert (at.schema, at.table, at.rejects, at.mode, at.key) == (
        "nightly",
        "scores",
        "scores_rejects",
        "upsert",
        ("id", "ts"),
    )
    assert str(at) == repr(at) == "postgresql://db:5432/lake?mode=upsert&key=id,ts#nightly.scores"
    assert at.server == "postgresql://me:s%40cret@db:5432/lake?sslmode=require"
    assert parse(at.secret) == at
    assert str(parse("postgres://db/lake?mode=replace#T")) == "postgresql://db/lake#public.T"


@pytest.mark.parametrize(
    "uri",
    ["postgresql://u:s3cret@db/lake", "postgresql://u:s3cret@db#t", "postgresql://u:s3cret@/#t", "postgresql://u:s3cret/@db/l#t",
     "postgresql://u:#s3cret@db/lake#t", "postgresql://u:s3cret@db/lake#", "postgresql://u:s3cret@db/lake#a.b.c.", "postgresql://",
     "postgresql://u:#s3cret@db/lake", "postgresql://u:s3cret@x@db/lake#t", "postgresql://u:s3cret@db/lake#_forebay_scoring",
     "postgresql://u:s3cret@db/lake#t_rejects", f"postgresql://u:s3cret@db/lake#{'t' * 56}", "postgresql://db/l?password=s3cret#t",
     "postgresql://u:s3cret@db/lake?mode=upsert#t", "postgresql://u:s3cret@db/lake?key=id#t", "postgresql://db/l?host=x#t",
     "postgresql://u:s3cret@db/lake?mode=upsert&key=a,a#t", "postgresql://u:s3cret@db/lake?mode=swap#t", "postgresql://db/l#t "],
)  # fmt: skip
def test_what_is_no_address(uri: str) -> None:
    with pytest.raises(BadOrder, match="output: ") as told:
        open_storage(uri)
    assert "s3cret" not in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("uri", ["postgresql://[u:s3cret/lake#t", "postgresql://u:%zzs3cret@db/lake#t"])
def test_what_the_client_library_does_not_understand(uri: str) -> None:
    with pytest.raises(BadOrder, match="does not understand the address") as told:
        open_storage(uri).current()
    assert "\n" not in str(told.value)
