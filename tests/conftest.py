"""What every test may use: a PostgreSQL of its own, and hypothesis without surprises."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

from tests.services.databases import Databases
from tests.services.installations import NoPostgres, find
from tests.services.postgres import Postgres
from tests.services.require import in_ci, require

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if in_ci() else "dev")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A running PostgreSQL for the whole session: FOREBAY_TEST_POSTGRES (a URL, or a folder with PostgreSQL's programs),
    else what is found. It runs without fsync: what a test kills are processes, not the machine. A test that stops or
    kills the server starts one of its own: `with Postgres.start() as server`."""
    wanted = os.environ.get("FOREBAY_TEST_POSTGRES", "")
    with ExitStack() as stack:
        if "://" in wanted:
            yield Databases(wanted)
            return
        try:
            server = Postgres.start(fsync=False, installation=find(Path(wanted) if wanted else None))
        except NoPostgres as missing:
            require(str(missing))
        yield stack.enter_context(server)


@pytest.fixture
def postgres_url(postgres: Databases) -> Iterator[str]:
    """A fresh, empty database, dropped after the test."""
    with postgres.database() as url:
        yield url


def pytest_configure(config: pytest.Config) -> None:
    """With --cov, measure the processes that tests start too: coverage starts in each of them by these two variables."""
    if config.getoption("cov_source", default=None):
        os.environ["COVERAGE_PROCESS_START"] = str(config.rootpath / "pyproject.toml")
        os.environ["COVERAGE_FILE"] = str(config.rootpath / ".coverage")
