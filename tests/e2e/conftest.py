"""Each store in turn."""

import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> str | None:
    """None: SQLite under the home that the test makes."""
    return None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
