"""Durations as people write them: `90s`, `15m`, `7d`."""

import re

EXPECTED = "expected a duration such as 90, 500ms, 15m, 24h or 7d"
_UNITS = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
"""The largest first."""
_WRITTEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", re.ASCII)


def seconds_of(written: str) -> float:
    """Seconds; without a unit it is seconds already. Raises ValueError. May be infinite: hold it against a limit."""
    match = _WRITTEN.fullmatch(written.strip())
    if match is None:
        raise ValueError(EXPECTED)
    return float(match[1]) * _UNITS[match[2] or "s"]


def written(seconds: float) -> str:
    """The same as text that `seconds_of` reads back: whole numbers of the largest unit that allows it."""
    for unit, size in _UNITS.items():
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    milliseconds = round(seconds * 1000)
    if seconds and milliseconds / 1000 == seconds:
        return f"{milliseconds}ms"
    return f"{seconds:.15f}".rstrip("0").rstrip(".") + "s"
