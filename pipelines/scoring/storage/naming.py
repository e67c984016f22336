"""What things of an output are called, wherever it is."""

import re

from pipelines.scoring.faults import BadOrder

FOLDER = "_forebay"
POINTER = f"{FOLDER}/current.json"
SUCCESS = "_SUCCESS"
TABLE = "_forebay_scoring"
"""Of a database: what is published in each table of the same schema."""

_RUN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RECORD = re.compile(r"[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")
_TAKEN = frozenset({"current", "lock"})
"""`_forebay/current.json` and `_forebay/lock.json` are no manifests."""


def checked_run(run_id: str) -> str:
    """It stands in names of files and folders. Raises BadOrder."""
    if not _RUN.fullmatch(run_id) or run_id in _TAKEN:
        raise BadOrder(
            f"run id {run_id!r}: expected letters, digits, '.', '_' or '-', at most 128, a letter or digit first,"
            " and neither 'current' nor 'lock'"
        )
    return run_id


def manifest_of(run_id: str) -> str:
    return f"{FOLDER}/{run_id}.json"


def manifest_told(output: str, run_id: str) -> str:
    """Where people find it. `output`: as an order has it."""
    return TABLE if output.startswith("postgresql://") else manifest_of(run_id)


def checked_record(name: str) -> str:
    """Raises ValueError: a mistake of ours."""
    if not _RECORD.fullmatch(name) or not {".", ".."}.isdisjoint(name.split("/")):
        raise ValueError(f"record {name!r}: expected letters, digits, '-', '.' and '/'")
    return name


def checked_path(path: str) -> str:
    """Of a part, below the output. Its folders hold what a column held, so it is no mistake of ours alone. Raises
    BadOrder."""
    segments = path.split("/")
    if "\0" in path or not {"", ".", ".."}.isdisjoint(segments) or segments[0] in (FOLDER, SUCCESS):
        raise BadOrder(f"part {path!r}: expected a path below the output, without '.', '..' or {FOLDER}")
    return path
