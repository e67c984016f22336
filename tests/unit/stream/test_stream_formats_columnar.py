"""The quick way of a batch and the long way answer alike, whatever the bytes are."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.flow.in_place import Answered, AnswerMany, Refused, Runner
from pipelines.inputs import InputCodec, RawInputs
from pipelines.ports import InvalidInput
from schemas.model_spec import ModelSpec, TensorSpec
from tests.unit.stream.stream_records import floats, plus_one, spec_of
from workers.loading import LoadedModel

numbers = st.one_of(
    st.floats(), st.integers(-(2**66), 2**66), st.sampled_from([3.4028235e38, 1e39, 0.1, None, "1", True])
)
rows = st.lists(numbers, min_size=2, max_size=2)
objects = st.fixed_dictionaries({"x": st.one_of(rows, rows, rows, numbers)}, optional={"id": numbers})
broken = st.sampled_from(
    [b"", b"{", b"null", b"[]", b"5", b'{"x":[1,2]} {"x":[3,4]}', b'{"x":[1,', b"2]}", b"\xff", b"[" * 5000]
)
raws = st.one_of(objects.map(lambda value: json.dumps(value).encode()), broken, st.binary(max_size=9))


def runner(model: LoadedModel, quick: AnswerMany | None) -> Runner:
    return Runner(model, random.Random(0), lambda pause: None, answer_many=quick)


def answers(model: LoadedModel, given: Sequence[bytes]) -> tuple[list[Answered], list[Answered]]:
    """With the columnar way, and without it."""
    quick = runner(model, model.answer_many).run(given, lambda: 1.0)
    return quick, runner(model, None).run(given, lambda: 1.0)


@pytest.fixture(scope="module", params=["float32", "float64", "int64"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    model = plus_one(tmp_path_factory.mktemp("models"), dtype=request.param)
    return model.reading(InputCodec(model._version.spec, lenient=True))


@given(st.lists(raws, min_size=1, max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ways_answer_alike(model: LoadedModel, given: list[bytes]) -> None:
    quick, long = answers(model, given)
    assert quick == long
    each = [runner(model, None).run([raw], lambda: 1.0, alone=True)[0] for raw in given]
    assert [type(answer) for answer in quick] == [type(answer) for answer in each]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.floats(width=32), st.floats(width=32)).map(lambda row: floats(*row)), st.binary(max_size=9)
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_both_ways_answer_raw_tensors_alike(raw_model: LoadedModel, given: list[bytes]) -> None:
    quick, long = answers(raw_model, given)
    assert quick == long


@pytest.fixture(scope="module")
def raw_model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    model = plus_one(tmp_path_factory.mktemp("models"))
    return model.reading(RawInputs(model._version.spec))


def test_a_batch_in_which_all_is_well_takes_the_quick_way(model: LoadedModel) -> None:
    assert model.answer_many([b'{"x":[1,2],"id":7}', b'{"x":[3,4]}']) is not None
    good, bad = model.answer_many([b'{"x":[1,2]}', b'{"x":[3]}']) or [None, None]
    assert (type(good), type(bad)) == (bytes, InvalidInput)
    assert [type(answer) for answer in model.answer_many([b"{"]) or []] == [InvalidInput]
    assert model.answer_many([]) is None
    assert model.answer_many([b'{"x":[1,2]}'] * 33) is None, "more than a batch may hold"


def test_what_the_model_answers_wrongly_is_left_to_the_long_way(tmp_path: Path) -> None:
    model = plus_one(tmp_path, nan=False)
    assert model.answer_many([b'{"x":[3.4e38,1]}']) is not None
    model._predict_batch = lambda batch: {"y": batch["x"][:1]}  # a row too few
    assert model.answer_many([b'{"x":[1,2]}', b'{"x":[3,4]}']) is None
    model._predict_batch = lambda batch: {"y": batch["x"] * float("inf")}
    assert model.answer_many([b'{"x":[1,2]}']) is None


def test_models_with_hooks_or_varying_shapes_have_no_quick_way(tmp_path: Path) -> None:
    assert not plus_one(tmp_path, width=-1).columnar


def raw_inputs(**tensor: Any) -> RawInputs:
    return RawInputs(spec_of(inputs=(TensorSpec(**{"name": "x", "dtype": "float32", "shape": (2, 2), **tensor}),)))


def refused(inputs: RawInputs, raw: bytes) -> str:
    (outcome,) = inputs.decode_many([raw])
    assert isinstance(outcome, InvalidInput)
    return str(outcome)


def test_raw_tensors() -> None:
    good, short = floats(1, 2, 3, 4), floats(1, 2, 3)
    first, second = raw_inputs().decode_many([good, short])
    assert not isinstance(first, InvalidInput)
    assert first["x"].tolist() == [[1, 2], [3, 4]]
    assert first["x"].flags.writeable
    assert str(second) == "value: 12 bytes, expected 16 (float32 [2, 2], little-endian)"
    assert "NaN" in refused(raw_inputs(), floats(1, 2, float("nan"), 4))
    assert raw_inputs(nan=True).batch([floats(1, 2, float("nan"), 4)]) is not None
    assert "neither 0 nor 1" in refused(raw_inputs(dtype="bool"), b"\0\1\2\0")
    (scalar,) = raw_inputs(shape=(), dtype="int64").decode_many([(-5).to_bytes(8, "little", signed=True)])
    assert not isinstance(scalar, InvalidInput)
    assert (scalar["x"].shape, int(scalar["x"])) == ((), -5)


@pytest.mark.parametrize("tensor", [{"dtype": "string"}, {"shape": (-1,)}])
def test_raw_tensors_need_a_fixed_number_of_bytes(tensor: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="raw tensors need exactly one input"):
        raw_inputs(**tensor)


def test_strict_refuses_what_lenient_passes_over() -> None:
    spec: ModelSpec = spec_of()
    raw = b'{"x": [1, 2], "id": {"deep": [1]}}'
    assert not isinstance(InputCodec(spec, lenient=True).decode_many([raw])[0], InvalidInput)
    assert str(InputCodec(spec).decode_many([raw])[0]) == "inputs.id: unknown, the model takes: x"


def test_one_bad_record_among_many_is_found_and_costs_little(model: LoadedModel) -> None:
    given = [b'{"x":[%d,2]}' % n for n in range(31)]
    given[17] = b'{"x":[1]}'
    quick, long = answers(model, given)
    assert quick == long
    assert [place for place, answer in enumerate(quick) if isinstance(answer, Refused)] == [17]
