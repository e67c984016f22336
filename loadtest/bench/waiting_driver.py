"""Jobs that end at a steady rate, recorded as a worker records them: verdicts through the store, then the notice.

    python -m loadtest.bench.waiting_driver <jobs> <rate> <batch> <core> <file>

Settings come from FOREBAY_*. Writes the ids to the file and says so when all are claimed, waits for a line, ends them in
that order, and writes when each was committed, in seconds of the monotonic clock.
"""

import json
import sys
import time
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path

from forebay.redis_parts import parts_of
from forebay.settings import load
from forebay.stores import notices_of, store_of
from loadtest.bench.machine import pinned
from pipelines.store.notices import Notices
from pipelines.store.sql import SqlStore
from schemas.jobs import Claim, Submission
from schemas.verdicts import Done

LEASE_S = 600.0
_CHUNK = 500
_INPUTS = Path(__file__).parents[2] / "models" / "digits" / "heldout.jsonl"
_RESULT = Done(json.dumps({"probabilities": [round(0.1 + n / 1e4, 6) for n in range(10)]}).encode())


def main() -> None:
    jobs, rate, batch, core = map(int, sys.argv[1:5])
    file = Path(sys.argv[5])
    settings = load()
    with ExitStack() as stack, pinned(core):
        store = store_of(settings)
        stack.callback(store.close)
        redis = parts_of(settings, store)
        if redis is not None:
            stack.callback(redis.close)
            redis.health.start()
        notices = notices_of(settings, redis)
        stack.callback(notices.close)
        claims = claimed(store, jobs)
        file.write_text(json.dumps([claim.id for claim in claims]))
        print("claimed", flush=True)
        sys.stdin.readline()
        file.write_text(json.dumps(end_all(store, notices, claims, rate, batch)))
        print("ended", flush=True)


def claimed(store: SqlStore, jobs: int) -> list[Claim]:
    inputs = json.dumps(json.loads(_INPUTS.read_text().splitlines()[0])["inputs"]).encode()
    digest = sha256(inputs).digest()
    claims: list[Claim] = []
    for start in range(0, jobs, _CHUNK):
        names = [f"waiting-{number}" for number in range(start, min(jobs, start + _CHUNK))]
        store.submit([Submission(name, "default", "digits", "1", inputs, digest) for name in names])
        some = store.claim_next(("digits",), _CHUNK, LEASE_S)
        store.start(some)
        claims += some
    assert len(claims) == jobs, f"claimed {len(claims)} of {jobs}"
    return claims


def end_all(store: SqlStore, notices: Notices, claims: list[Claim], rate: int, batch: int) -> list[float]:
    times: list[float] = []
    began = time.perf_counter()
    for start in range(0, len(claims), batch):
        time.sleep(max(0.0, began + start / rate - time.perf_counter()))
        some = claims[start : start + batch]
        recorded = store.record([(claim, _RESULT) for claim in some])
        times += [time.perf_counter()] * len(some)
        notices.ended([claim.id for claim in some])
        assert len(recorded) == len(some), f"recorded {len(recorded)} of {len(some)}"
    return times


if __name__ == "__main__":
    main()
