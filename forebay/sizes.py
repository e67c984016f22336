"""Numbers of bytes as people write them: `64KiB`, `8MiB`."""

import re

_UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
"""The largest first."""
_WRITTEN = re.compile(r"(\d{1,18})\s*(GiB|MiB|KiB|B)?", re.ASCII)


def bytes_of(written: str) -> int:
    """Without a unit it is bytes already. Raises ValueError."""
    match = _WRITTEN.fullmatch(written.strip())
    if match is None:
        raise ValueError("expected bytes such as 65536, 64KiB or 8MiB")
    return int(match[1]) * _UNITS[match[2] or "B"]


def written(size: int) -> str:
    """The same as text that `bytes_of` reads back: of the largest unit that gives a whole number."""
    unit = next(unit for unit, of in _UNITS.items() if (size >= of and size % of == 0) or of == 1)
    return f"{size // _UNITS[unit]}{'' if unit == 'B' else unit}"
