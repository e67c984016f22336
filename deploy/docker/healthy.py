"""Exit 0 when /healthz answers on this container's loopback; the argument is the variable that holds the port.

http.client rather than urllib: no proxy of the environment comes between.
"""

import http.client
import os
import sys


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if healthy(int(os.environ[sys.argv[1]])) else 1)
