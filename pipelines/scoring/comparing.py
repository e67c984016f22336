"""Columns beside constants and beside each other, exactly: a constant that the column's type does not have is moved to
the next one that it has, and the comparison with it, since casting a column of any values may fail in the middle of it."""

import datetime as dt
import operator
import re
from collections.abc import Sequence
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as types
from msgspec import Struct

Value: TypeAlias = Decimal | str | bool | dt.datetime | dt.date

OPERATORS = {
    "=": operator.eq, "<>": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The sign with its sides exchanged."""
_INTEGERS = pa.decimal128(20, 0)
"""Holds every integer of 64 bits, and 2**64, which some are rounded to."""
_EXACT_BITS = 32
"""Of integers that are floats of 64 bits as they are."""
_WIDEST = 76
"""Digits of a decimal."""
_DIGITS = Context(prec=200)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_FINER = re.compile(r"[.,][0-9]{7}")
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Misfit(ValueError):
    """What was expected beside a column of this type."""


class Operand(Struct, frozen=True):
    """A column as the comparisons see it: without dictionary, no view of strings, no half floats."""

    expression: Any
    kind: pa.DataType

    def compared(self, sign: str, value: Value) -> Any:
        """Raises Misfit."""
        if _is_stepped(self.kind):
            return self._stepped(sign, *_floor(self.kind, value))
        return OPERATORS[sign](self.expression, pa.scalar(_fitting(self.kind, sign, value), type=self.kind))

    def among(self, values: Sequence[Value]) -> Any:
        """Raises Misfit. False for null, unlike SQL's: the caller knows on which side of a NOT it stands."""
        given = [
            _floor(self.kind, value) if _is_stepped(self.kind) else (_fitting(self.kind, "=", value), True)
            for value in values
        ]
        listed = [floor for floor, exact in given if exact]
        if types.is_floating(self.kind) and 0.0 in listed:
            listed += [0.0, -0.0]  # which are equal, and two values to a hash
        return self.expression.isin(pa.array(listed, type=self.kind))

    def beside(self, sign: str, other: "Operand") -> Any:
        """Raises Misfit."""
        if types.is_integer(self.kind) and types.is_floating(other.kind):
            return self._beside_floats(sign, other)
        if types.is_floating(self.kind) and types.is_integer(other.kind):
            return other._beside_floats(TURNED.get(sign, sign), self)
        kind = _common(self.kind, other.kind)
        return OPERATORS[sign](self._as(kind), other._as(kind))

    def _as(self, kind: pa.DataType | None) -> Any:
        # Unsafe only means rounding here: to float64, or to decimals that hold every integer.
        return self.expression if kind is None or kind == self.kind else self.expression.cast(kind, safe=False)

    def _beside_floats(self, sign: str, floats: "Operand") -> Any:
        """Integers. Rounded to floats they are in the same order, and where they are equal then, the float is an integer."""
        rounded, wide = self._as(pa.float64()), floats._as(pa.float64())
        if self.kind.bit_width <= _EXACT_BITS:
            return OPERATORS[sign](rounded, wide)
        near = pc.if_else(pc.abs(wide) <= pc.scalar(2.0**64), wide, pc.scalar(0.0))
        exactly = OPERATORS[sign](self._as(_INTEGERS), near.cast(_INTEGERS, safe=False))
        if sign == "<>":
            return pc.or_kleene(rounded != wide, exactly)
        level = pc.and_kleene(rounded == wide, exactly)
        return level if sign == "=" else pc.or_kleene(OPERATORS[sign[0]](rounded, wide), level)

    def _stepped(self, sign: str, floor: Any, exact: bool) -> Any:
        """`floor`: the largest of the type's values that is not above the constant; None: it is below all of them."""
        if floor is not None and (exact or sign in ("<", "<=", ">", ">=")):
            sign = sign if exact else {"<": "<=", ">=": ">"}.get(sign, sign)
            return OPERATORS[sign](self.expression, pa.scalar(floor, type=self.kind))
        if sign in ("<>", ">", ">="):
            return self.expression == self.expression  # always, but for null
        return self.expression != self.expression  # never


def operand(expression: Any, kind: pa.DataType) -> Operand:
    plain = kind.value_type if types.is_dictionary(kind) else kind
    plain = {pa.string_view(): pa.string(), pa.float16(): pa.float32(), pa.date64(): pa.date32()}.get(plain, plain)
    return Operand(expression if plain == kind else expression.cast(plain), plain)


def is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _is_stepped(kind: pa.DataType) -> bool:
    return bool(types.is_integer(kind) or types.is_decimal(kind) or types.is_timestamp(kind))


def _floor(kind: pa.DataType, value: Value) -> tuple[Any, bool]:
    """The largest of the type's values that is not above this one, or None; and whether it is this one."""
    if types.is_timestamp(kind):
        return _within(_ticks(kind, value), -(2**63) + 1, 2**63 - 1)
    if not isinstance(value, Decimal):
        raise Misfit("a number")
    if types.is_integer(kind):
        bits = kind.bit_width - types.is_signed_integer(kind)
        return _within(value, -(2**bits) if types.is_signed_integer(kind) else 0, 2**bits - 1)
    unit = Decimal(1).scaleb(-kind.scale, _DIGITS)
    most = _DIGITS.multiply(Decimal(10**kind.precision - 1), unit)
    if not -most <= value <= most:
        return (None if value < 0 else most), False
    floor = value.quantize(unit, rounding=ROUND_FLOOR, context=_DIGITS)
    return floor, floor == value


def _within(value: Decimal, low: int, high: int) -> tuple[int | None, bool]:
    if not low <= value <= high:  # before `int`, which would write out 1e1000
        return (None if value < low else high), False
    floor = int(value.to_integral_value(ROUND_FLOOR))
    return floor, floor == value


def _ticks(kind: pa.DataType, value: Value) -> Decimal:
    """Since the epoch, in the column's unit."""
    if isinstance(value, str):
        value = read_timestamp(value)
    elif isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day)
    if not isinstance(value, dt.datetime):
        raise Misfit("TIMESTAMP '…' or DATE '…'")
    if kind.tz is None and value.tzinfo is not None:
        raise Misfit("a timestamp without a time zone, as the column's are")
    since = (value if value.tzinfo else value.replace(tzinfo=dt.UTC)) - _EPOCH
    micros = since // dt.timedelta(microseconds=1)
    return Decimal(micros) * _PER_SECOND[kind.unit] / 10**6


def _fitting(kind: pa.DataType, sign: str, value: Value) -> Any:
    """The value as the type has it."""
    if types.is_boolean(kind):
        if not isinstance(value, bool) or sign not in ("=", "<>"):
            raise Misfit("= or <> and TRUE or FALSE")
        return value
    if types.is_floating(kind):
        if not isinstance(value, Decimal):
            raise Misfit("a number")
        return float(value)
    if is_text(kind):
        if not isinstance(value, str):
            raise Misfit("a 'string'")
        return value
    if types.is_date(kind):
        return _date(value)
    raise Misfit("a column of numbers, strings, booleans, dates or timestamps; of others IS NULL is all there is")


def _date(value: Value) -> dt.date:
    if isinstance(value, str):
        return read_date(value)
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise Misfit("DATE '…'")
    return value


def read_date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text.strip())
    except ValueError:
        raise Misfit("a date such as '2026-11-20'") from None


def read_timestamp(text: str) -> dt.datetime:
    """A day alone is its first moment."""
    try:
        if _FINER.search(text):
            raise ValueError  # Python would cut it off without a word
        return dt.datetime.fromisoformat(text.strip())
    except ValueError:
        raise Misfit("a timestamp such as '2026-11-20 06:30:00', with microseconds at most") from None


def _common(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type in which two columns are compared; None: as they are. Raises Misfit."""
    if types.is_integer(one) and types.is_integer(other):
        return _INTEGERS if pa.uint64() in (one, other) and one != other else None
    numeric = [bool(types.is_integer(k) or types.is_floating(k) or types.is_decimal(k)) for k in (one, other)]
    if all(numeric):
        if one == other:
            return None
        return pa.float64() if types.is_floating(one) or types.is_floating(other) else _decimal(one, other)
    alike = one == other and (types.is_boolean(one) or types.is_date(one))
    stamps = types.is_timestamp(one) and types.is_timestamp(other) and (one.tz is None) == (other.tz is None)
    if not (alike or (is_text(one) and is_text(other)) or (stamps and one.unit == other.unit)):
        raise Misfit(f"one of its kind beside it, not {other}")
    return None


def _decimal(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Of which one may be of integers: what holds both, or else what rounds them."""
    scales = [kind.scale if types.is_decimal(kind) else 0 for kind in (one, other)]
    wholes = [kind.precision - kind.scale if types.is_decimal(kind) else 20 for kind in (one, other)]
    scale = max(scales)
    digits = max(wholes) + scale
    return pa.decimal256(digits, scale) if digits <= _WIDEST else pa.float64()
