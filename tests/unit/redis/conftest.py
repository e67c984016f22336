from collections.abc import Iterator

import pytest

from tests.services.redis import NoRedis, Redis
from tests.services.require import require


@pytest.fixture
def own_redis() -> Iterator[Redis]:
    """One that the test may kill, freeze, fill and empty."""
    try:
        server = Redis.start()
    except NoRedis as missing:
        require(str(missing))
    with server:
        yield server
