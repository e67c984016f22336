"""`forebay score` that is killed at a failpoint: python -m tests.scoring.attempt <name>:<how-manieth> score …"""

import os
import signal
import sys
from collections import Counter

import forebay.scoring
from forebay.cli import app


def main() -> None:
    name, _, times = sys.argv.pop(1).partition(":")
    seen: Counter[str] = Counter()
    whole = forebay.scoring.score

    def fail(step: str) -> None:
        seen[step] += 1
        if step == name and seen[step] == int(times or 1):
            os.kill(os.getpid(), signal.SIGKILL)

    forebay.scoring.score = lambda *given: whole(*given, failpoint=fail)  # type: ignore[assignment]
    app.main()


if __name__ == "__main__":
    main()
