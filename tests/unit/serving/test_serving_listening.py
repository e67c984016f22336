"""What is in the way of serving is one line that names what to change."""

import resource
import socket
from contextlib import closing

import pytest
from prometheus_client import CollectorRegistry

from forebay.listening import CannotServe, allow_connections, listen, url_of
from forebay.serving import serve_metrics
from forebay.settings import load


def test_any_free_port() -> None:
    with closing(listen("127.0.0.1", 0)) as listening:
        assert url_of(listening, "127.0.0.1") == f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert said("127.0.0.1", port) == f"address 127.0.0.1:{port}: address already in use; choose another --port"


def test_a_metrics_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = load(metrics_port=taken.getsockname()[1])
        with pytest.raises(CannotServe, match="address already in use; choose another --metrics-port"):
            serve_metrics(settings, CollectorRegistry(), list)


def test_a_host_that_cannot_be_resolved() -> None:
    line = said("nosuchhost.invalid", 80)
    assert line.startswith("address nosuchhost.invalid:80: the host cannot be resolved (")
    assert line.endswith("); choose another --host")


@pytest.mark.parametrize("host", ["a" * 64, "a" * 64 + ".example", "a..b", "x" * 5000])
def test_what_is_no_host_name(host: str) -> None:
    line = said(host, 80)
    assert line.endswith("choose another --host")
    assert len(line) < 200


def test_an_address_of_another_machine() -> None:
    assert "an address of this machine" in said("192.0.2.1", 80)


def test_more_connections_than_files_may_be_open() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        pytest.skip("no limit of open files here")
    with pytest.raises(CannotServe, match=f"max_connections {hard}: needs"):
        allow_connections(hard)
    assert 1 <= allow_connections(None) <= 10_000


def said(host: str, port: int) -> str:
    with pytest.raises(CannotServe) as fault:
        listen(host, port)
    line = str(fault.value)
    assert "\n" not in line
    return line
