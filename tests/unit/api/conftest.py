from collections.abc import Iterator

import pytest
from api_driver import Api, Start


@pytest.fixture
def start() -> Iterator[Start]:
    starter = Start()
    yield starter
    starter.close()


@pytest.fixture
def api(start: Start) -> Api:
    return start()
