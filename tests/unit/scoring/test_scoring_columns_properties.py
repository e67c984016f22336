"""A row read from columns is what the online API makes of the same row as JSON: the same tensors, the same refusals."""

import json
from collections.abc import Sequence
from decimal import Context, Decimal
from typing import Any, get_args

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput, Tensors
from pipelines.scoring.columns import ColumnReader
from pipelines.scoring.rows import Rows, Stacked
from schemas.model_spec import DType, ModelSpec, TensorSpec

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
DECIMALS = [pa.decimal128(5, 2), pa.decimal128(38, 20), pa.decimal256(60, 30)]
TEXTS = [pa.string(), pa.large_string(), pa.string_view()]


def kinds(dtype: DType) -> list[pa.DataType]:
    if dtype == "bool":
        return [pa.bool_(), pa.null()]
    if dtype == "string":
        return [*TEXTS, pa.null()]
    return [*INTEGERS, pa.null()] if "int" in dtype else [*INTEGERS, *FLOATS, *DECIMALS, pa.null()]


def elements(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if kind in INTEGERS:
        bits, signed = kind.bit_width, pa.types.is_signed_integer(kind)
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        return st.one_of(st.integers(low, high), st.integers(max(low, -3), 100))
    if kind in FLOATS:
        return st.floats(width=kind.bit_width, allow_nan=False, allow_infinity=False)
    if kind in DECIMALS:
        most = 10**kind.precision - 1
        return st.integers(-most, most).map(lambda digits: Decimal(digits).scaleb(-kind.scale, Context(prec=99)))
    if kind in TEXTS:
        return st.text(max_size=3)
    return st.booleans() if kind == pa.bool_() else st.none()


tensors = st.builds(
    lambda dtype, shape, nan: TensorSpec(name="x", dtype=dtype, shape=shape, nan=nan and dtype.startswith("float")),
    st.sampled_from(get_args(DType)),
    st.lists(st.sampled_from([-1, 1, 2, 3]), max_size=2).map(tuple),
    st.booleans(),
)


@st.composite
def columns(draw: st.DrawFn, spec: TensorSpec, rows: int) -> list[pa.Array]:
    """The columns of one input: side by side, or one, of lists where the shape has dimensions."""
    kind = draw(st.sampled_from(kinds(spec.dtype)))
    values = st.one_of(elements(kind), elements(kind), st.none())
    if len(spec.shape) == 1 and draw(st.booleans()):
        width = draw(st.integers(1, 3)) if spec.shape[0] == -1 else spec.shape[0]
        return [
            encoded(draw, pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), type=kind))
            for _ in range(width)
        ]
    for size in reversed(spec.shape):
        outer = draw(st.sampled_from([pa.list_, pa.large_list, pa.list_view, "fixed"]))
        if kind in TEXTS[2:] and outer == pa.list_view:
            outer = pa.list_  # Arrow casts no view of views
        fixed = (size if size != -1 else draw(st.integers(1, 2))) if outer == "fixed" else None
        kind = pa.list_(kind, fixed) if outer == "fixed" else outer(kind)
        usual = fixed or (size if size != -1 else draw(st.integers(0, 2)))
        lists = st.lists(values, min_size=usual, max_size=usual)
        values = st.one_of(lists, lists, st.none(), *([] if fixed else [st.lists(values, max_size=3)]))
    return [encoded(draw, pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), type=kind))]


def encoded(draw: st.DrawFn, array: pa.Array) -> pa.Array:
    plain = pa.types.is_integer(array.type) or pa.types.is_string(array.type) or pa.types.is_decimal128(array.type)
    return array.dictionary_encode() if plain and draw(st.booleans()) else array


@st.composite
def batches(draw: st.DrawFn) -> tuple[ModelSpec, pa.RecordBatch, dict[str, list[str]]]:
    inputs = [draw(tensors).model_copy(update={"name": name}) for name in ("x", "z")[: draw(st.integers(1, 2))]]
    rows = draw(st.integers(0, 4))
    arrays: dict[str, pa.Array] = {}
    mapping: dict[str, list[str]] = {}
    for spec in inputs:
        made = draw(columns(spec, rows))
        mapping[spec.name] = [f"{spec.name}.{n}" for n in range(len(made))]
        arrays |= dict(zip(mapping[spec.name], made, strict=True))
    spec = ModelSpec(name="m", inputs=tuple(inputs), outputs=(TensorSpec(name="y", dtype="float32"),))
    return spec, pa.RecordBatch.from_pydict(arrays).slice(draw(st.integers(0, min(1, rows)))), mapping


def online(spec: ModelSpec, batch: pa.RecordBatch, mapping: dict[str, list[str]]) -> list[Any]:
    """What the API makes of the rows."""
    read = {name: floats(array.to_pylist()) for name, array in zip(batch.schema.names, batch.columns, strict=True)}
    raws = []
    for row in range(batch.num_rows):
        given: dict[str, Any] = {}
        for tensor in spec.inputs:
            names = mapping[tensor.name]
            kind = batch.schema.field(names[0]).type
            single = not hasattr(kind, "value_type") or pa.types.is_dictionary(kind)
            beside = len(names) > 1 or (len(tensor.shape) == 1 and single and not pa.types.is_null(kind))
            given[tensor.name] = [read[name][row] for name in names] if beside else read[names[0]][row]
        raws.append(json.dumps(given).encode())
    return [shown(outcome) for outcome in InputCodec(spec).decode_many(raws)]


def floats(value: Any) -> Any:
    if isinstance(value, list):
        return [floats(each) for each in value]
    return float(value) if isinstance(value, Decimal) else value


def outcomes(rows: Rows, count: int) -> list[Any]:
    found: dict[int, Any] = {place: shown(refusal) for place, refusal in rows.bad.items()}
    places: Sequence[int] = list(range(count)) if rows.good is None else rows.good.tolist()
    given = rows.given
    if isinstance(given, Stacked):
        assert all(len(tensor) == given.count for tensor in given.tensors.values())
        items = [{name: tensor[n, ...] for name, tensor in given.tensors.items()} for n in range(given.count)]
    else:
        items = list(given.items)
    found |= dict(zip(places, map(shown, items), strict=True))
    assert sorted(found) == list(range(count))
    return [found[place] for place in range(count)]


def shown(outcome: Tensors | InvalidInput) -> Any:
    if isinstance(outcome, InvalidInput):
        return str(outcome)
    assert all(tensor.flags.writeable for tensor in outcome.values())
    return {name: (tensor.dtype, tensor.shape, repr(tensor.tolist())) for name, tensor in outcome.items()}


@settings(max_examples=200, deadline=None)
@given(batches(), st.booleans())
def test_rows_are_what_the_api_makes_of_them(
    given_batch: tuple[ModelSpec, pa.RecordBatch, dict[str, list[str]]], each: bool
) -> None:
    spec, batch, mapping = given_batch
    reader = ColumnReader(spec, mapping, each)
    assert outcomes(reader.rows(batch), batch.num_rows) == online(spec, batch, mapping)
