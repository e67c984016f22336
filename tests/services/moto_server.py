"""AWS's services played by moto, in a process of their own: S3, and of SQS what ElasticMQ lacks. It is slow (some 35 receives
a second): good for checks, not for figures."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.services.own_server import Failed
from tests.services.ports import steady_port

READY_WITHIN = 30.0
ACCESS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test-secret", "AWS_DEFAULT_REGION": "eu-central-1"}
"""Environment variables of whoever talks to it. It checks none of them."""


_SERVE = """
import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
from moto.s3.responses import S3Response
from moto.server import main
put, one = S3Response.put_object, threading.Lock()
def put_alone(self):
    with one:
        return put(self)
S3Response.put_object = put_alone
main(sys.argv[1:])
"""
"""Its standard input is a pipe that its owner holds open: the pipe's end, however the owner went, is the server's end. Puts
take turns: moto looks at If-Match and then writes, and of two requests at once both might find that it holds."""


@contextmanager
def moto_server() -> Iterator[str]:
    """The endpoint, `http://127.0.0.1:port`, of a server without any data. Raises Failed."""
    port = steady_port()
    command = [sys.executable, "-P", "-c", _SERVE, "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert server.stdin is not None
    try:
        _await_ready(server, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()
        server.stdin.close()


def _await_ready(server: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + READY_WITHIN
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            if server.poll() is not None:
                raise Failed(f"moto's server ended with {server.returncode}") from None
            if time.monotonic() > end:
                raise Failed(f"moto's server did not answer within {READY_WITHIN:g} s") from None
            time.sleep(0.05)
        else:
            return
