"""Exit codes that scripts can use, and errors as one line."""

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

import typer

# The command line parser's own faults. Typer has carried its own copy of Click since 0.20, and names the base nowhere.
_ParserFault = typer.BadParameter.__mro__[2]
_INTERRUPTED = 130
_BROKEN_PIPE = 141


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


def run(build: Callable[[], typer.Typer]) -> NoReturn:
    """Run the command line; every expected fault becomes `forebay: …` on stderr and an exit code."""
    _open_closed_streams()
    try:
        code = _code_of(build)
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        _silence()
        sys.exit(_BROKEN_PIPE)
    sys.exit(code)


def _code_of(build: Callable[[], typer.Typer]) -> int:
    """Raises BrokenPipeError, and whatever is a bug of ours."""
    try:
        _check_arguments()
        code = build()(prog_name="forebay", standalone_mode=False)
        sys.stdout.flush()
    except CommandError as fault:
        _say(fault)
        return fault.code
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        raise
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # the parser makes this of it, with the code 1
            raise end.__context__ from None
        raise
    except Exception as fault:
        if isinstance(fault, _ParserFault):
            return _say_usage(fault)
        if not isinstance(fault, _expected()):
            raise
        _say(fault)
        return Exit.NOT_FOUND if isinstance(fault, _unknown()) else Exit.FAILED
    return code if isinstance(code, int) else Exit.OK


def _open_closed_streams() -> None:
    """Python has None for a stream that it was started without (`>&-`), and the next file opened would take its number."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115  # until the end


def _check_arguments() -> None:
    """Python lets other bytes through as lone surrogates, which neither a database nor a terminal takes."""
    for number, argument in enumerate(sys.argv[1:], 1):
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise CommandError(f"argument {number} is {argument!r}: expected UTF-8", Exit.USAGE) from None


def _expected() -> tuple[type[Exception], ...]:
    """Faults that are told in one line. Imported only now, so that a command that needs none of this starts quickly."""
    from forebay.listening import CannotServe
    from forebay.settings import BadSettings
    from pipelines.catalog import BadModels, UnknownModel, UnknownVersion
    from pipelines.kafka.faults import KafkaFault
    from pipelines.payloads.port import PayloadMissing, PayloadsAway
    from pipelines.ports import InvalidInput
    from pipelines.scoring.faults import ScoreFault
    from pipelines.sqs.faults import SqsFault
    from pipelines.store.port import StoreAway
    from workers.errors import BadArtifact, RuntimeMissing

    return (
        BadSettings, BadModels, UnknownModel, UnknownVersion, BadArtifact, RuntimeMissing, StoreAway, CannotServe,
        InvalidInput, KafkaFault, SqsFault, PayloadsAway, PayloadMissing, ScoreFault, OSError,
    )  # fmt: skip


def _unknown() -> tuple[type[Exception], ...]:
    from pipelines.catalog import UnknownModel, UnknownVersion

    return (UnknownModel, UnknownVersion)


def _say(fault: BaseException) -> None:
    text = str(fault)
    if isinstance(fault, OSError) and fault.strerror:
        text = f"{fault.filename}: {fault.strerror}" if fault.filename else fault.strerror
    for line in text.splitlines() or [type(fault).__name__]:
        sys.stderr.write(f"forebay: {line}\n")


def _say_usage(fault: Exception) -> int:
    """`--limit`: what is wrong; where help is. Without any arguments, the help itself."""
    context = getattr(fault, "ctx", None)
    if type(fault).__name__ == "NoArgsIsHelpError":
        fault.show()  # type: ignore[attr-defined]  # of the parser's base class, which has no public name
    else:
        message = " ".join(fault.format_message().split()).rstrip(".").replace("Value error, ", "")  # type: ignore[attr-defined]  # likewise
        where = getattr(context, "command_path", "forebay")
        sys.stderr.write(f"forebay: {message}; see {where} --help\n")
    return int(getattr(fault, "exit_code", Exit.USAGE))


def _silence() -> None:
    """Whoever read our output is gone; Python would complain once more when it flushes at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
