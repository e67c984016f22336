"""`--where`: a condition in SQL's own words, as a filter of Arrow. Nothing of it is ever evaluated as code."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.types as types
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pipelines.scoring.comparing import TURNED, Misfit, Operand, Value, is_text, operand, read_date, read_timestamp
from pipelines.scoring.faults import BadOrder
from pipelines.scoring.fields import Ambiguous, find, nearest

Node: TypeAlias = Any
"""One of sqlglot's: their common class changed its name between its versions."""
MOST_CHARS = 100_000
MOST_CONDITIONS = 1000
"""Arrow looks at every one of them for every batch, and takes longer for each the more there are."""
_SHOWN_CHARS = 64
_ALLOWED = (
    "allowed are = <> < <= > >= AND OR NOT IN BETWEEN LIKE IS NULL with columns, numbers, 'strings', TRUE, FALSE, "
    "DATE '…' and TIMESTAMP '…'"
)
_SIGNS: dict[type[Any], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_KNOWN: dict[type[Any], set[str]] = {
    exp.And: {"this", "expression"}, exp.Or: {"this", "expression"}, exp.Not: {"this"}, exp.Paren: {"this"},
    **{compared: {"this", "expression"} for compared in _SIGNS},
    exp.Is: {"this", "expression"}, exp.In: {"this", "expressions"}, exp.Between: {"this", "low", "high"},
    exp.Like: {"this", "expression", "negate"}, exp.Cast: {"this", "to"}, exp.DataType: {"this"},
    exp.Column: {"this", "table", "db", "catalog"}, exp.Dot: {"this", "expression"}, exp.Identifier: {"this", "quoted"},
    exp.Literal: {"this", "is_string"}, exp.Neg: {"this"}, exp.Boolean: {"this"}, exp.Null: set(),
}  # fmt: skip
"""What is understood, and of it the parts: sqlglot may say in a part that the whole means its opposite."""
_POSITIVE = {exp.EQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In, exp.Between}
"""False for NaN."""
_DATED: dict[Any, Callable[[str], Value]] = {
    exp.DataType.Type.DATE: read_date,
    exp.DataType.Type.TIMESTAMP: read_timestamp,
    exp.DataType.Type.TIMESTAMPTZ: read_timestamp,
}
_NUMBER = re.compile(r"[0-9]*\.?[0-9]*([eE][+-]?[0-9]{1,3})?")
_CAST = re.compile(r"CAST\(('(?:[^']|'')*') AS (\w+)\)")
_MOST_DIGITS = 100
_TOO_DEEP = "where: nested too deep"


def columns_of(text: str) -> tuple[str, ...]:
    """The columns that a condition needs, each once; those of nested fields with dots. Raises BadOrder."""
    try:
        return tuple(dict.fromkeys(_name(node) for node in _names(_parsed(text))))
    except RecursionError:
        raise BadOrder(_TOO_DEEP) from None


def parse(text: str, schema: pa.Schema, provable: bool = False) -> Any:
    """A `pyarrow.compute.Expression` over columns of this schema, Hive's included: true for the rows that SQL would take
    (a comparison with null takes none). `provable`: true for more rows than these where the least and the largest value of
    some rows would not tell. Raises BadOrder with the part that it cannot take, and what it could."""
    try:
        condition = _Conditions(schema, provable).condition(_parsed(text), negated=False)
        # Bound to no rows: what Arrow itself cannot do is told now, and not in the middle of the night.
        ds.dataset(schema.empty_table()).scanner(columns={"": condition}).to_table()
    except RecursionError:
        raise BadOrder(_TOO_DEEP) from None
    except pa.ArrowException as fault:
        raise BadOrder(f"where: {_short(str(fault))}") from None
    return condition


def parse_terms(text: str, schema: pa.Schema) -> list[Any]:
    """Of the conditions that AND joins at the top, those over columns of this schema alone, as `parse` has them. What cannot
    be taken is left out: `parse` says why. Raises BadOrder for what is no condition at all."""
    found: list[Any] = []
    try:
        for term in _terms(_parsed(text)):
            with contextlib.suppress(BadOrder, Ambiguous, pa.ArrowException):
                if all(find(schema, _name(node)) is not None for node in _names(term)):
                    found.append(_Conditions(schema, provable=False).condition(term, negated=False))
    except RecursionError:
        raise BadOrder(_TOO_DEEP) from None
    return found


class _Conditions:
    def __init__(self, schema: pa.Schema, provable: bool) -> None:
        self._schema = schema
        self._provable = provable

    def condition(self, node: Node, negated: bool) -> Any:
        """NOT is carried down to the comparisons, so that null and false are one above them, as a filter takes them."""
        if type(node) is exp.Paren:
            return self.condition(node.this, negated)
        if type(node) is exp.Not:
            return self.condition(node.this, not negated)
        if type(node) in (exp.And, exp.Or):
            operands: Iterator[Any] = node.flatten()
            parts = [self.condition(part, negated) for part in operands]
            return _joined(parts, pc.and_kleene if (type(node) is exp.And) != negated else pc.or_kleene)
        if self._provable and not self._tells(node, negated):
            return pc.scalar(True)
        if type(node) is exp.In:
            return self._among(node, negated)
        if type(node) is exp.Like and node.args.get("negate"):  # NOT LIKE, unlike NOT IN and NOT BETWEEN
            negated = not negated
        found = self._leaf(node)
        return ~found if negated else found

    def _tells(self, node: Node, negated: bool) -> bool:
        """Whether the least and the largest value tell: they leave NaN out, which `<>` and NOT may well take."""
        if not any(types.is_floating(operand(*self._expression(name)).kind) for name in _names(node)):
            return True
        return not negated and type(node) in _POSITIVE and len(list(_names(node))) == 1

    def _leaf(self, node: Node) -> Any:
        kind = type(node)
        if kind in _SIGNS:
            return self._comparison(node, _SIGNS[kind])
        if kind is exp.Between:
            column, low, high = self._column(node.this, node), _value(node.args["low"]), _value(node.args["high"])
            return pc.and_kleene(_fit(node, column, ">=", low), _fit(node, column, "<=", high))
        if kind is exp.Is and type(node.expression) is exp.Null:
            return self._expression(node.this)[0].is_null()
        if kind is exp.Like:
            return self._like(node)
        if _is_name(node):
            column = self._column(node, node)
            if types.is_boolean(column.kind):
                return column.expression
            raise _refused(node, f"is {column.kind}, expected a condition")
        raise _refused(node, f"cannot be taken, {_ALLOWED}")

    def _comparison(self, node: Node, sign: str) -> Any:
        left, right = node.this.unnest(), node.expression.unnest()
        if _is_name(left) and _is_name(right):
            return _fit(node, self._column(left, node), sign, self._column(right, node))
        if _is_name(right):
            left, right, sign = right, left, TURNED.get(sign, sign)
        if not _is_name(left):
            _value(left), _value(right)  # names what is worse first
            raise _refused(node, "compares no column, expected one on one side")
        if type(right) is exp.Null:
            raise _refused(node, "is never true, expected IS NULL or IS NOT NULL")
        return _fit(node, self._column(left, node), sign, _value(right))

    def _among(self, node: Node, negated: bool) -> Any:
        listed: Sequence[Node] = node.args.get("expressions") or ()
        if not listed:
            raise _refused(node, "cannot be taken, expected IN with a list of values")
        column = self._column(node.this, node)
        values = [_value(each) for each in listed]
        try:
            found = column.among(values)
        except Misfit as fault:
            raise _refused(node, f"the column is {column.kind}, expected {fault}") from None
        return ~found & column.expression.is_valid() if negated else found

    def _like(self, node: Node) -> Any:
        column, pattern = self._column(node.this, node), node.expression
        if not is_text(column.kind) or type(pattern) is not exp.Literal or not pattern.is_string:
            raise _refused(node, f"the column is {column.kind}, expected one of strings LIKE a 'string'")
        return pc.match_like(column.expression, pattern.this)

    def _column(self, node: Node, part: Node) -> Operand:
        if not _is_name(node.unnest()):
            raise _refused(part, f"has no column on its left, {_ALLOWED}")
        return operand(*self._expression(node))

    def _expression(self, node: Node) -> tuple[Any, pa.DataType]:
        node = node.unnest()
        if not _is_name(node):
            raise _refused(node, f"cannot be taken, {_ALLOWED}")
        name = _name(node)
        try:
            found = find(self._schema, name)
        except Ambiguous:
            raise BadOrder(f"where: {name}: several columns have this name") from None
        if found is None:
            raise BadOrder(f"where: there is no column {name} ({nearest(self._schema, name)})")
        return pc.field(*found[0]), found[1]


def _parsed(text: str) -> Any:
    if len(text) > MOST_CHARS:
        raise BadOrder(f"where: {len(text)} characters, expected {MOST_CHARS} at most")
    try:
        tree: Any = sqlglot.parse_one(text, into=exp.Condition)
    except SqlglotError as fault:
        raise BadOrder(
            f"where: {_said(fault)}; expected a condition such as amount > 10 AND day = DATE '2026-11-20'"
        ) from None
    for node in tree.walk():
        if any(given for part, given in node.args.items() if part not in _KNOWN.get(type(node), ())):
            raise _refused(node, f"cannot be taken, {_ALLOWED}")
    count = 1 + sum(type(node) in (exp.And, exp.Or) for node in tree.walk())
    if count > MOST_CONDITIONS:
        raise BadOrder(
            f"where: {count:,} conditions, expected {MOST_CONDITIONS:,} at most; one IN (…) with all values of a column is one"
        )
    return tree


def _terms(node: Node) -> Iterator[Node]:
    node = node.unnest()
    if type(node) is exp.And:
        for part in node.flatten():
            yield from _terms(part)
    else:
        yield node


def _said(fault: SqlglotError) -> str:
    """What sqlglot found, without its colours and its lines."""
    errors = getattr(fault, "errors", None)
    if not errors:
        return "is no condition"
    first = errors[0]
    return f"not understood at {_short(first['highlight'] or '')!r} (line {first['line']}, column {first['col']})"


def _names(tree: Any) -> Iterator[Node]:
    for node in tree.walk(bfs=False, prune=_is_name):
        if _is_name(node):
            yield node


def _is_name(node: Node) -> bool:
    if type(node) not in (exp.Column, exp.Dot):
        return False
    return all(type(part) is exp.Identifier for part in node.parts)


def _name(node: Node) -> str:
    return ".".join(part.name for part in node.parts)


def _value(node: Node) -> Value:
    node = node.unnest()
    if type(node) is exp.Literal:
        return str(node.this) if node.is_string else _number(node)
    if type(node) is exp.Neg and type(node.this) is exp.Literal and not node.this.is_string:
        return -_number(node.this)
    if type(node) is exp.Boolean:
        return bool(node.this)
    if type(node) is exp.Cast and type(node.this) is exp.Literal and node.this.is_string:
        return _dated(node)
    if type(node) is exp.Null:
        raise _refused(node, "is no value to compare with, expected IS NULL beside the others")
    raise _refused(node, f"cannot be taken, {_ALLOWED}")


def _number(node: Node) -> Decimal:
    text = str(node.this)
    if not _NUMBER.fullmatch(text) or len(text) > _MOST_DIGITS:
        raise _refused(node, f"expected a number of {_MOST_DIGITS} digits at most")
    return Decimal(text)


def _dated(node: Node) -> Value:
    read = _DATED.get(node.args["to"].this)
    if read is None:
        raise _refused(node, f"cannot be taken, {_ALLOWED}")
    try:
        return read(str(node.this.this))
    except Misfit as fault:
        raise _refused(node, f"expected {fault}") from None


def _fit(part: Node, column: Operand, sign: str, other: Value | Operand) -> Any:
    try:
        return column.beside(sign, other) if isinstance(other, Operand) else column.compared(sign, other)
    except Misfit as fault:
        raise _refused(part, f"the column is {column.kind}, expected {fault}") from None


def _joined(parts: Sequence[Any], join: Callable[[Any, Any], Any]) -> Any:
    """As a balanced tree: Arrow walks down expressions, and a thousand in a row are no reason to go deep."""
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return join(_joined(parts[:middle], join), _joined(parts[middle:], join))


def _refused(node: Node, what: str) -> BadOrder:
    text = _CAST.sub(r"\2 \1", node.sql(comments=False))  # as it was written
    return BadOrder(f"where: {_short(text)}: {what}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else line[:_SHOWN_CHARS] + "…"
