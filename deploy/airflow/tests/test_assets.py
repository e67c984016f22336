import pytest

from forebay_airflow.assets import asset_of


@pytest.mark.parametrize(
    ("output", "uri"),
    [
        ("s3://lake/scores", "s3://lake/scores"),
        ("s3://lake/scores/dt={{ ds }}", "s3://lake/scores"),
        ("s3://lake/scores/{{ ds }}/x", "s3://lake/scores"),
        ("/data/scores/dt={{ ds }}", "/data/scores"),
        ("file:///data/scores/dt={{ ds }}", "file:///data/scores"),
    ],
)
def test_the_data_set_of_an_output(output: str, uri: str) -> None:
    asset = asset_of(output)
    assert asset is not None
    assert asset.uri == uri


@pytest.mark.parametrize(
    "output",
    ["{{ params.out }}", "{{ params.lake }}/scores", "s3://{{ bucket }}/scores", "s3://lake/{{ ds }}", "/{{ ds }}",
     "{% if x %}a{% endif %}", "postgresql://user:pw@host/db#scores", "postgresql://host/db#scores"],
)  # fmt: skip
def test_outputs_whose_asset_the_author_must_name(output: str) -> None:
    assert asset_of(output) is None
