import pytest
from client_driver import Driver


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def client(request: pytest.FixtureRequest) -> Driver:
    return Driver(asynchronous=request.param)
