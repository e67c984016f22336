"""`forebay score` into a table of PostgreSQL."""

from pathlib import Path

import numpy as np
import pytest

from tests.scoring.ground import Ground, expected, ground
from tests.scoring.tables import names, rows

ROWS = 3000
SMALL = ("--part-rows", "1000", "--run-id", "r", "--passthrough", "id")


@pytest.fixture
def on(tmp_path: Path, postgres_url: str) -> Ground:
    return ground(tmp_path, f"{postgres_url}#scores", rows=ROWS)


def test_every_row_is_in_the_table_once(on: Ground, postgres_url: str) -> None:
    summary = on.score(*SMALL).summary
    assert (summary["rows"], summary["rejected"], summary["parts"]) == (ROWS, 0, 3)
    found = rows(postgres_url, "SELECT id, score FROM scores ORDER BY id")
    assert [n for n, _ in found] == list(range(ROWS))
    np.testing.assert_allclose(np.stack([score for _, score in found]), expected(range(ROWS)), rtol=1e-5)
    assert names(postgres_url) == ["scores"]
    again = on.score(*SMALL)
    assert again.summary == summary
