"""Two folders change places in one step: Linux's renameat2 with RENAME_EXCHANGE."""

import ctypes
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Exchange: TypeAlias = Callable[[Path, Path], bool]
"""False: this file system or this system cannot, and nothing was changed. Raises OSError."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})


def exchange(one: Path, other: Path) -> bool:
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    rename.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))
