"""Exit codes that scripts can use, and errors as one line."""

import sys
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    OK = 0
    FAILED = 1
    """What was asked for could not be done; the line on stderr says why."""
    USAGE = 2
    NOT_FOUND = 3
    JOB_NOT_SUCCEEDED = 4
    """The job ended, but failed, was canceled or expired."""
    STILL_PENDING = 5


class CommandError(Exception):
    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


def run(command: Callable[[], object]) -> NoReturn:
    """Run the command line; every expected fault becomes `forebay: …` on stderr and an exit code."""
    try:
        command()
    except CommandError as fault:
        _say(fault)
        sys.exit(fault.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception as fault:
        if not isinstance(fault, _expected()):
            raise
        _say(fault)
        sys.exit(Exit.FAILED)
    sys.exit(Exit.OK)


def _expected() -> tuple[type[Exception], ...]:
    """Faults that are told in one line. Imported only now, so that a command that needs none of this starts quickly."""
    from forebay.serving import CannotServe
    from forebay.settings import BadSettings
    from pipelines.catalog import BadModels, UnknownModel, UnknownVersion
    from pipelines.ports import InvalidInput
    from pipelines.store.port import StoreAway
    from workers.errors import BadArtifact, RuntimeMissing

    return (
        BadSettings, BadModels, UnknownModel, UnknownVersion, BadArtifact, RuntimeMissing, StoreAway, CannotServe,
        InvalidInput,
    )  # fmt: skip


def _say(fault: BaseException) -> None:
    for line in str(fault).splitlines() or [type(fault).__name__]:
        sys.stderr.write(f"forebay: {line}\n")
