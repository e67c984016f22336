"""What can be wrong with a model repository, and with a question to it."""

import stat
from pathlib import Path

from msgspec import Struct

NO_FILE = "neither a file nor a folder; expected a regular file"


class ModelMistake(Struct, frozen=True):
    file: str
    key: str
    """The key in model.yaml, dotted; empty when the fault is the file's or the folder's."""
    text: str
    """What is wrong and what was expected."""

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.text}" if self.key else f"{self.file}: {self.text}"


class BadModels(Exception):
    """One line per mistake."""

    def __init__(self, mistakes: list[ModelMistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class UnknownModel(LookupError):
    """No such model; the message lists what there is."""


class UnknownVersion(LookupError):
    """No such version or alias; the message lists what there is."""


def stays_inside(path: Path, folder: Path) -> bool:
    """Whether `path`, links followed, is in `folder`."""
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links (RuntimeError up to 3.12), a name with U+0000
        return False


def is_odd(path: Path) -> bool:
    """Whether it is a pipe, a device or a socket: whoever opens one may wait for ever. What is not there is not odd."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
