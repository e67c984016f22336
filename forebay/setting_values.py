"""How the values of settings are written: durations, sizes, lists, whole numbers."""

from typing import Annotated, Any

from pydantic import BeforeValidator

from forebay import durations, sizes


def between(least: str, most: str) -> BeforeValidator:
    """Seconds, written as a duration or as a number; both limits are allowed, and no NaN lies between them."""
    lowest, highest = durations.seconds_of(least), durations.seconds_of(most)
    expected = f"expected a duration from {least} to {most}, such as 90s, 15m, 24h or 7d"

    def read(value: Any) -> float:
        try:
            seconds = durations.seconds_of(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(expected) from None
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not lowest <= seconds <= highest:
            raise ValueError(expected)
        return float(seconds)

    return BeforeValidator(read)


def _no_bool(value: Any) -> Any:
    """TOML's `true` is no 1."""
    if isinstance(value, bool):
        raise ValueError("expected a whole number")
    return value


def size_between(least: int, most: int | None = None) -> BeforeValidator:
    """Written with a unit, or as a number; both limits are allowed."""
    limits = (
        f"at least {sizes.written(least)}" if most is None else f"from {sizes.written(least)} to {sizes.written(most)}"
    )
    expected = f"expected bytes, {limits}, such as 65536, 64KiB or 8MiB"

    def read(value: Any) -> int:
        try:
            size = sizes.bytes_of(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError(expected) from None
        if isinstance(size, bool) or not isinstance(size, int) or size < least or (most is not None and size > most):
            raise ValueError(expected)
        return size

    return BeforeValidator(read)


def listed(value: Any) -> Any:
    """A list in forebay.toml; in a variable its entries between commas."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if part.strip()]


Whole = Annotated[int, BeforeValidator(_no_bool)]
