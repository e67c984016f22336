"""What an unfinished run keeps of itself: its plan, its attempts, and what became of each part."""

from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pipelines.scoring.storage.port import Parts, Records
from schemas.scoring import InputFile, PartDone, Plan, encode

PLAN = "plan.json"
_ATTEMPTS = "attempts.json"
_TAGS = "tags.json"


class Attempts(Struct):
    """Of this run, so far."""

    began: str
    count: int = 0
    seconds: float = 0.0
    open: bool = False
    """Whether one goes on, or was killed."""
    killed: int = 0
    """Since a part was done."""


def begin_attempt(records: Records, began: datetime) -> Attempts:
    known = records.get(_ATTEMPTS)
    attempts = Attempts(iso(began)) if known is None else msgspec.json.decode(known, type=Attempts)
    attempts.count += 1
    attempts.killed += attempts.open
    attempts.open = True
    keep_attempts(records, attempts)
    return attempts


def keep_attempts(records: Records, attempts: Attempts) -> None:
    records.put(_ATTEMPTS, encode(attempts))


def known_plan(records: Records) -> Plan | None:
    """With its files' tags, where an attempt before found them."""
    known = records.get(PLAN)
    if known is None:
        return None
    plan = msgspec.json.decode(known, type=Plan)
    tagged = records.get(_TAGS)
    if tagged is None:
        return plan
    tags = msgspec.json.decode(tagged, type=list[str])
    return replace(plan, files=tuple(replace(file, tag=tag) for file, tag in zip(plan.files, tags, strict=True)))


def keep_plan(records: Records, plan: Plan) -> None:
    records.put(PLAN, encode(plan))


def keep_tags(records: Records, files: tuple[InputFile, ...]) -> None:
    records.put(_TAGS, encode([file.tag for file in files]))


def recorded_part(records: Records, parts: Parts, number: int) -> PartDone | None:
    """None when it has to be done again."""
    known = records.get(_part(number))
    if known is None:
        return None
    done = msgspec.json.decode(known, type=PartDone)
    files = [file for file in (done.file, done.rejects) if file is not None]
    return done if all(parts.holds(file) for file in files) else None


def record_part(records: Records, done: PartDone) -> None:
    records.put(_part(done.number), encode(done))


def _part(number: int) -> str:
    return f"parts/{number:05d}.json"


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
