"""A model's own code, called: what would end the process is an error of the model, as everything that it raises."""

import functools
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class ModelExit(Exception):
    """It called sys.exit(), or raised something else that is no Exception."""


def guarded(code: Callable[P, R]) -> Callable[P, R]:
    """The same; raises ModelExit, from where it was raised, instead of what is no Exception. Ctrl-C is none of the model's: it
    comes to the main thread, and to no other."""

    @functools.wraps(code)
    def called(*given: P.args, **named: P.kwargs) -> R:
        try:
            return code(*given, **named)
        except Exception:
            raise
        except BaseException as fault:
            if isinstance(fault, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise
            raise ModelExit(_told(fault)).with_traceback(fault.__traceback__) from None

    return called


def _told(fault: BaseException) -> str:
    code = f"({fault.code!r})" if isinstance(fault, SystemExit) and isinstance(fault.code, int | str | None) else ""
    return f"{type(fault).__name__}{code} would end the process, expected an Exception"
