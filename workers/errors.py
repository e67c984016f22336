"""What can be wrong with a model before it serves. One line each: which file, what, what to do."""

_MOST_CHARS = 500


class BadArtifact(Exception):
    """A model's file is missing, damaged, not what was declared, or of a kind that is never loaded."""


class RuntimeMissing(Exception):
    """The library that runs it is not installed; the message names the extra."""


def one_line(text: object, most: int = _MOST_CHARS) -> str:
    """What some library or some input said, fit for a message and for a text column: one line, printable, bounded."""
    line = " ".join(str(text).split())
    line = "".join(char if char.isprintable() else "�" for char in line[: most + 1])
    return line if len(line) <= most else line[:most] + "…"
