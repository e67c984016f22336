"""An Airflow of its own, with a metadata database on SQLite in a temporary AIRFLOW_HOME, made before Airflow is imported; and
a Forebay of its own, on a lake on this disk."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from proxy import Proxy, line_to
from service import Service, serving
from standin import KEY, StandIn, stand_in

HERE = Path(__file__).parent
HOME = Path(tempfile.mkdtemp(prefix="forebay-airflow-"))
DAGS = HOME / "dags"
LAKE = HOME / "lake"
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME / 'airflow.db'}?timeout=60",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE": "True",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "FOREBAY_LAKE": str(LAKE),
}
for ours in [*(HERE.parent / "dags").glob("*.py"), *(HERE / "dags").glob("*.py")]:
    DAGS.mkdir(exist_ok=True)
    # A try that Airflow itself loses (it does now and then, on a busy machine) costs no five minutes.
    (DAGS / ours.name).write_text(ours.read_text().replace("timedelta(minutes=5)", "timedelta(0)"))


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture
def forebay(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """What stands in for the service, on a real socket, and the connection `forebay_default` that leads to it."""
    with stand_in() as service:
        monkeypatch.setenv("AIRFLOW_CONN_FOREBAY_DEFAULT", connection(service.url))
        yield service


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """Forebay itself: its API, and two scoring workers."""
    with serving(LAKE, HOME / "forebay", workers=2) as service:
        yield service


@pytest.fixture(scope="module")
def line(service: Service) -> Iterator[Proxy]:
    """To the service; the tests see what is asked, and cut it."""
    with line_to(service.url) as proxy:
        yield proxy


def connection(url: str) -> str:
    host, _, port = url.removeprefix("http://").partition(":")
    return f"forebay://:{KEY}@{host}:{port}/http"


@pytest.fixture(scope="session")
def database() -> None:
    """The metadata database's tables."""
    from airflow.utils.db import initdb

    initdb()
