"""What a worker's port answers."""

import http.client
import json
import socket

import pytest
from prometheus_client import CollectorRegistry, Gauge

from forebay.probes import serve_probes


def asked(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_metrics_health_and_readiness() -> None:
    registry, why = CollectorRegistry(), list[str]()
    Gauge("forebay_up", "1", registry=registry).set(1)
    port = serve_probes("127.0.0.1", 0, registry, lambda: why)
    assert asked(port, "/metrics") == asked(port, "/")
    assert "forebay_up 1.0" in asked(port, "/metrics")[1]
    assert asked(port, "/healthz") == (200, '{"status":"ok"}')
    assert asked(port, "/readyz") == (200, '{"status":"ready","unready":[],"degraded":[]}')
    why.append("kafka: no broker answers")
    status, text = asked(port, "/readyz")
    assert (status, json.loads(text)) == (
        503,
        {"status": "unready", "unready": ["kafka: no broker answers"], "degraded": []},
    )
    assert asked(port, "/metrics/x")[0] == 404
    assert asked(port, "/healthz")[0] == 200, "alive all the same"


def test_an_address_of_version_six() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        port = serve_probes("::1", 0, CollectorRegistry(), list)
    except OSError as fault:
        pytest.skip(f"no IPv6 loopback here: {fault}")
    assert asked(port, "/healthz", "::1")[0] == 200


def test_who_says_nothing_holds_up_nobody() -> None:
    port = serve_probes("127.0.0.1", 0, CollectorRegistry(), list)
    with socket.create_connection(("127.0.0.1", port)):
        assert asked(port, "/healthz")[0] == 200
