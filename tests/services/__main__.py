"""`make services`: the tests' PostgreSQL, until Ctrl-C or SIGTERM."""

import signal
import sys

from tests.services.installations import NoPostgres
from tests.services.postgres import Failed, Postgres


def main() -> int:
    try:
        server = Postgres.start()
    except (NoPostgres, Failed) as fault:
        sys.stderr.write(f"{fault}\n")
        return 1
    with server:
        sys.stdout.write(f"FOREBAY_STORE={server.fresh_database()}\nFOREBAY_TEST_POSTGRES={server.url}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    sys.exit(main())
