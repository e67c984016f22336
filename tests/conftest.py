"""What every test may use: a PostgreSQL of its own, and hypothesis without surprises."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import hypothesis
import pytest

from tests.services import kafka as kafka_server
from tests.services import moto_server as moto
from tests.services import redis as redis_server
from tests.services import sqs_server
from tests.services.broker import Broker
from tests.services.buckets import fresh_bucket
from tests.services.databases import Databases
from tests.services.elasticmq_jars import NoElasticMq
from tests.services.installations import NoPostgres
from tests.services.kafka_jars import NoKafka
from tests.services.mock_kafka import mock_broker
from tests.services.postgres import Postgres
from tests.services.redis import NoRedis, RunningRedis
from tests.services.require import in_ci, require
from tests.services.sqs_server import SqsServer

hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if in_ci() else "dev")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A running PostgreSQL for the whole session: the one at FOREBAY_TEST_POSTGRES (a URL), else one of our own, started
    from FOREBAY_TEST_POSTGRES_BIN (a folder) or what is found. It runs without fsync: what a test kills are processes, not
    the machine. A test that stops or kills the server starts one of its own: `with Postgres.start() as server`."""
    if running := os.environ.get("FOREBAY_TEST_POSTGRES"):
        yield Databases(running)
        return
    try:
        server = Postgres.start(fsync=False)
    except NoPostgres as missing:
        require(str(missing))
    with server:
        yield server


@pytest.fixture(scope="session")
def kafka() -> Iterator[Broker]:
    """A running Kafka for the whole session: the one at FOREBAY_TEST_KAFKA (host:port), else one of our own. A test that
    stops or kills the broker starts one of its own: `with Kafka.start() as kafka`."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(kafka_server.broker())
        except NoKafka as missing:
            require(str(missing))
        yield server


@pytest.fixture(scope="session")
def plain_kafka(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """The same, or librdkafka's mock cluster where there is none: for tests without transactions. In CI always the real one."""
    try:
        yield request.getfixturevalue("kafka")
    except pytest.skip.Exception:
        with mock_broker() as mock:
            yield mock


@pytest.fixture(scope="session")
def elasticmq() -> Iterator[SqsServer]:
    """A running ElasticMQ for the whole session: the SQS server at FOREBAY_TEST_SQS (http://host:port), else one of our own.
    A test that stops or kills the server starts one of its own: `with ElasticMq.start() as server`."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(sqs_server.server())
        except NoElasticMq as missing:
            require(str(missing))
        yield server


@pytest.fixture(scope="session")
def sqs(request: pytest.FixtureRequest) -> Iterator[SqsServer]:
    """The same, or moto's server where there is none. In CI always the real one."""
    try:
        yield request.getfixturevalue("elasticmq")
    except pytest.skip.Exception:
        with moto.moto_server() as endpoint, SqsServer(endpoint) as server:
            yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[RunningRedis]:
    """A running Redis for the whole session: the one at FOREBAY_TEST_REDIS (a URL), else one of our own. A test that kills,
    empties or fills it starts one of its own: `with Redis.start() as redis`."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(redis_server.running())
        except NoRedis as missing:
            require(str(missing))
        yield server


@pytest.fixture
def redis_url(redis: RunningRedis) -> str:
    """For FOREBAY_REDIS, under a prefix of its own."""
    return redis.fresh_url()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The endpoint of a running S3 for the whole session: the one at FOREBAY_TEST_S3 (a URL), else moto's server. Who talks
    to it has the variables `tests.services.moto_server.ACCESS`."""
    if running := os.environ.get("FOREBAY_TEST_S3"):
        yield running
        return
    with moto.moto_server() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(s3: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket, as FOREBAY_PAYLOADS takes it; this process may use it too."""
    for name, value in moto.ACCESS.items():
        monkeypatch.setenv(name, value)
    return fresh_bucket(s3)


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
