"""Inputs and outputs that lie in each other."""

from pathlib import Path

import pytest

from pipelines.scoring.apart import check_apart
from pipelines.scoring.faults import BadOrder

HERE = "?endpoint=http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("input", "output", "told"),
    [
        ("in", "in", "it is the input"),
        ("in/", "link", "it is the input"),
        ("in", "in/_scores", "it lies in the input"),
        ("in", "link/scores", "it lies in the input"),
        ("in/dt=1/a.parquet", "in", "it holds the input"),
        ("link/dt=1", "file://{here}/in", "it holds the input"),
        ("s3://lake/in", f"s3://lake/in{HERE}", None),
        (f"s3://lake/in{HERE}", f"s3://lake/in/out{HERE}", "it lies in the input"),
        ("s3://lake/in", "s3://lake", "it holds the input"),
        ("s3://lake/in", "s3://lake/in?region=eu-central-1", "it is the input"),
        ("s3://lake/in", "s3://lake/in-scored", None),
        ("in", "in-scored", None),
        ("in", "s3://lake/in", None),
        ("in", "postgresql://db/warehouse#in", None),
    ],
)
def test_an_output_is_beside_the_input(
    input: str, output: str, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / "dt=1").mkdir(parents=True)
    (tmp_path / "link").symlink_to("in")
    output = output.format(here=tmp_path)
    if told is None:
        check_apart(input, output)
        return
    with pytest.raises(BadOrder, match=told) as refused:
        check_apart(input, output)
    assert "\n" not in str(refused.value)
