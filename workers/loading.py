"""From a version in the catalog to a model that serves: loaded, hooked, warmed."""

import importlib
import importlib.util
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

import msgspec
import numpy as np

from pipelines.catalog import ModelVersion
from pipelines.flow.judging import describe
from pipelines.flow.served import HookFailed, InvalidOutput, Prepared
from pipelines.inputs import InputCodec, Inputs
from pipelines.inputs.bounds import bounded
from pipelines.inputs.kinds import NUMPY
from pipelines.output_checks import OutputChecks
from pipelines.outputs import OutputCodec
from pipelines.ports import InvalidInput, Model, OutOfMemory, Tensors
from schemas.model_spec import Batching, ModelSpec, TensorSpec
from workers.artifacts import check_digests
from workers.errors import BadArtifact, RuntimeMissing, one_line
from workers.hooks import Hooks, load_hooks
from workers.own_code import ModelExit, guarded

A = TypeVar("A")
_MODULES = {"onnx": "onnxruntime", "torch": "torch"}
_EXTRAS = {"onnx": "forebay[cpu] or forebay[gpu]", "torch": "forebay[torch]"}


class LoadedModel:
    """A `pipelines.flow.served.Served`."""

    def __init__(self, version: ModelVersion, model: Model, hooks: Hooks, inputs: Inputs | None = None) -> None:
        """`inputs`: how inputs are decoded; by default as the API takes them, JSON and nothing unknown in it."""
        self.name = version.name
        self.version = version.version
        self.limits = bounded(version.spec)
        self.batching = version.spec.batching
        most, dearest = self.batching.max_batch_size, self.batching.max_batch_cost
        self._most = most if dearest is None else min(most, int(dearest))  # like items weigh 1.0 each
        self._predict, self._predict_batch = guarded(model.predict), guarded(model.predict_batch)
        self._model = model
        self._hooks = hooks
        self._version = version
        self._inputs: Inputs = InputCodec(version.spec) if inputs is None else inputs
        self._outputs = OutputCodec(version.spec)
        self._checks = OutputChecks(version.spec.outputs)
        self._weighed = hooks.cost is not None
        self._uniform = _is_uniform(version.spec, hooks)
        self._padded = frozenset(tensor.name for tensor in version.spec.inputs if tensor.pad is not None) | set(
            hooks.pads
        )
        self.hooked = hooks.preprocess is not None or self._weighed
        self.columnar = is_columnar(version.spec, hooks)
        """Whether `answer_many` can answer at all."""

    def reading(self, inputs: Inputs) -> "LoadedModel":
        """The same model on the same device, its inputs in another form."""
        return LoadedModel(self._version, self._model, self._hooks, inputs)

    def answer_many(self, raws: Sequence[bytes]) -> list[bytes | InvalidInput] | None:
        """The way of nearly every batch on a stream: decoded into one tensor, run, encoded; nothing is made per item but
        its answer. None when the model fails or answers wrongly, or there are more than one batch may hold: prepare,
        predict and finish then tell what, and answer alike for what is well."""
        if not self.columnar or not 0 < len(raws) <= self._most:
            return None
        batch = self._inputs.batch(raws)
        if batch is None:
            return self._answer_good(raws)
        return self._answer_batch(batch, len(raws))  # type: ignore[return-value]  # bytes all

    def _answer_good(self, raws: Sequence[bytes]) -> list[bytes | InvalidInput] | None:
        """Bad inputs among them are found first, so that they cost their neighbours little."""
        decoded = self._inputs.decode_many(raws)
        good = [item for item in decoded if not isinstance(item, InvalidInput)]
        batch = {name: np.stack([item[name] for item in good]) for name in good[0]} if good else {}
        answers = self._answer_batch(batch, len(good)) if good else []
        if answers is None:
            return None
        each = iter(answers)
        return [item if isinstance(item, InvalidInput) else next(each) for item in decoded]

    def _answer_batch(self, batch: Tensors, count: int) -> list[bytes] | None:
        try:
            outputs = self._predict_batch(batch)
        except Exception:  # noqa: BLE001  # the long way round finds whose fault it is
            return None
        return self._outputs.encode_batch(outputs, count)

    def prepare(self, raws: Sequence[bytes]) -> list[Prepared | InvalidInput | HookFailed]:
        return self.prepare_decoded(self._inputs.decode_many(raws))

    def prepare_decoded(self, decoded: Sequence[Tensors | InvalidInput]) -> list[Prepared | InvalidInput | HookFailed]:
        """The same, from where inputs are tensors already: one per item, in order."""
        if self._uniform and not self._weighed:
            return [item if isinstance(item, InvalidInput) else Prepared(item) for item in decoded]
        return [item if isinstance(item, InvalidInput) else self._prepare(item) for item in decoded]

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        return self._predict(inputs)

    def predict_batch(self, batch: Tensors) -> Tensors:
        """See `pipelines.ports.Model`."""
        return self._predict_batch(batch)

    def finish(self, outputs: Sequence[Tensors]) -> list[bytes | InvalidOutput]:
        if self._hooks.postprocess is None:
            return self._outputs.encode_many(outputs)
        return [self._finish_one(output, lambda made: self._outputs.encode_many([made])[0]) for output in outputs]

    def finish_tensors(self, outputs: Sequence[Tensors]) -> list[Tensors | InvalidOutput]:
        """The same as tensors, in the declared dtypes."""
        return [self._finish_one(output, self._checks.one) for output in outputs]

    def _prepare(self, tensors: Tensors) -> Prepared | InvalidInput | HookFailed:
        try:
            if self._hooks.preprocess is not None:
                tensors = _checked(self._hooks.preprocess(tensors))
        except ValueError as refusal:
            return InvalidInput(one_line(refusal) or "refused by preprocess, which gave no reason")
        except Exception as fault:  # noqa: BLE001  # the verdict on this input follows
            return HookFailed(one_line(f"preprocess: {describe(fault)}"))
        try:
            return Prepared(tensors, self._cost(tensors), self._likeness(tensors))
        except Exception as fault:  # noqa: BLE001  # the verdict on this input follows
            return HookFailed(one_line(f"cost: {describe(fault)}"))

    def _cost(self, tensors: Tensors) -> float:
        """By default the elements of the largest tensor: the length that padding would be paid for."""
        if self._hooks.cost is not None:
            cost = float(self._hooks.cost(tensors))
            if not 0 < cost < float("inf"):  # also refuses NaN: packing divides by it
                raise TypeError(f"answered {cost:g}, expected a finite number above 0")
            return cost
        if self._uniform:
            return self._model.cost(tensors)
        return float(max(1, max((tensor.size for tensor in tensors.values()), default=1)))

    def _likeness(self, tensors: Tensors) -> Hashable:
        """Names, and shapes but for what is padded."""
        return tuple((name, t.ndim if name in self._padded else t.shape) for name, t in sorted(tensors.items()))

    def _finish_one(self, output: Tensors, checked: Callable[[Any], A | InvalidOutput]) -> A | InvalidOutput:
        try:
            return checked(output if self._hooks.postprocess is None else self._hooks.postprocess(output))
        except Exception as fault:  # noqa: BLE001  # the verdict on this output follows
            return InvalidOutput(one_line(f"postprocess: {describe(fault)}"))


def is_columnar(spec: ModelSpec, hooks: Hooks) -> bool:
    """Whether items need nothing done one by one."""
    return _is_uniform(spec, hooks) and hooks.cost is None and hooks.postprocess is None


def _is_uniform(spec: ModelSpec, hooks: Hooks) -> bool:
    """Without hooks and with fixed shapes every item is like every other."""
    return hooks.preprocess is None and all(-1 not in tensor.shape for tensor in spec.inputs)


def _checked(tensors: Any) -> Tensors:
    if not isinstance(tensors, dict) or not all(isinstance(tensor, np.ndarray) for tensor in tensors.values()):
        raise TypeError(f"answered {type(tensors).__name__}, expected a dict of numpy arrays by name")
    return tensors


def availability(version: ModelVersion) -> str | None:
    """None when it can run here; else why not, with the extra to install. Imports nothing."""
    if importlib.util.find_spec(_MODULES[version.runtime]) is None:
        return f"runtime {version.runtime} is not installed: pip install '{_EXTRAS[version.runtime]}'"
    if version.runtime == "torch" and importlib.util.find_spec("safetensors") is None:
        return "safetensors is not installed: pip install 'forebay[torch]'"
    return None


def load(version: ModelVersion, device: str = "auto") -> LoadedModel:
    """Loaded, not yet warm. `device`: auto, cpu, cuda or cuda:<number>. Raises BadArtifact or RuntimeMissing, one line."""
    missing = availability(version)
    if missing is not None:
        raise RuntimeMissing(f"model {version.name} version {version.version}: {missing}")
    check_digests(version.folder, version.sha256)
    hooks = load_hooks(version.hooks)
    try:
        model: Model = guarded(_runtime(version).load)(version, device, hooks)
    except ModelExit as fault:
        raise BadArtifact(
            f"model {version.name} version {version.version}: {one_line(describe(fault), 300)}"
        ) from fault
    return LoadedModel(version, model, hooks)


def warm(loaded: LoadedModel, version: ModelVersion) -> None:
    """Run the largest batch before the first job does, so that whatever is slow, missing or too big shows now. Raises
    BadArtifact, one line."""
    where = f"model {version.name} version {version.version}"
    example = _example(loaded, version)
    size = _largest_batch(where, version.spec.batching, example.cost)
    try:
        outputs = loaded.predict([example.tensors] * size)
    except OutOfMemory as fault:
        raise BadArtifact(f"{where}: no memory for its largest batch: {fault}; lower max_batch_size") from fault
    except Exception as fault:
        raise BadArtifact(f"{where}: warm-up with {size} items failed: {one_line(describe(fault), 300)}") from fault
    if len(outputs) != size:
        raise BadArtifact(f"{where}: warm-up answered {len(outputs)} outputs for {size} inputs")
    (finished,) = loaded.finish(outputs[:1])
    if isinstance(finished, InvalidOutput):
        raise BadArtifact(f"{where}: warm-up answered wrongly: {finished.error}")


def _largest_batch(where: str, batching: Batching, cost: float) -> int:
    if batching.max_batch_cost is None:
        return batching.max_batch_size
    if cost > batching.max_batch_cost:
        raise BadArtifact(
            f"{where}: one item costs {cost:g}, more than batching.max_batch_cost ({batching.max_batch_cost:g})"
        )
    return min(batching.max_batch_size, int(batching.max_batch_cost / cost))


def _example(loaded: LoadedModel, version: ModelVersion) -> Prepared:
    given = version.spec.example or {tensor.name: _zeros(tensor) for tensor in version.spec.inputs}
    (prepared,) = loaded.prepare([msgspec.json.encode(given)])
    if isinstance(prepared, Prepared):
        return prepared
    fault = prepared.error if isinstance(prepared, HookFailed) else prepared
    raise BadArtifact(f"model {version.name}: its example (model.yaml) does not fit: {fault}")


def _zeros(tensor: TensorSpec) -> Any:
    if tensor.dtype == "string":
        return np.full([1 if size == -1 else size for size in tensor.shape], "", dtype=object).tolist()
    return np.zeros([1 if size == -1 else size for size in tensor.shape], dtype=NUMPY[tensor.dtype]).tolist()


def _runtime(version: ModelVersion) -> Any:
    """Imported only when it is needed: a worker without torch never asks for it."""
    try:
        return importlib.import_module(f"workers.runtimes.{version.runtime}")
    except (ImportError, OSError) as fault:  # installed, but broken: a missing shared library, cpu and gpu at once
        raise RuntimeMissing(
            f"model {version.name} version {version.version}: runtime {version.runtime} cannot be imported: "
            f"{one_line(fault, 200)}; install {_EXTRAS[version.runtime]} afresh"
        ) from fault
