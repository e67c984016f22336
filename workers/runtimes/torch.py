"""PyTorch: `model.py` builds the network, its weights come from safetensors. Nothing is unpickled."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.catalog import ModelVersion
from pipelines.ports import OutOfMemory, Tensors
from workers.artifacts import artifact, inside
from workers.errors import BadArtifact, one_line
from workers.hooks import Hooks, load_module
from workers.runtimes.options import check_options
from workers.runtimes.stacking import pads_of, split, stack

CODE = "model.py"
WEIGHTS = "model.safetensors"
OPTIONS = {"compile": bool, "threads": int, "weights": str}
_NO_MEMORY = ("can't allocate memory", "out of memory")


class TorchModel:
    """See `pipelines.ports.Model`. The module takes the inputs by keyword and answers a tensor, a tuple or a dict."""

    def __init__(
        self, module: Any, outputs: Sequence[str], only: bool, pads: Mapping[str, float], device: torch.device
    ) -> None:
        self._module = module
        self._outputs = outputs
        self._only = only
        """Whether outputs that are not declared are left out; a postprocess hook may want them."""
        self._pads = pads
        self._device = device

    def cost(self, inputs: Tensors) -> float:
        return 1.0

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        return split(self._guarded(lambda: stack(inputs, self._pads), len(inputs)), len(inputs))

    def predict_batch(self, batch: Tensors) -> Tensors:
        return self._guarded(lambda: batch, len(next(iter(batch.values()))))

    def _guarded(self, stacked: Callable[[], Tensors], count: int) -> Tensors:
        try:
            batch = stacked()
            with torch.inference_mode():
                given = {name: torch.from_numpy(tensor).to(self._device) for name, tensor in batch.items()}
                return self._named(self._module(**given))
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as fault:
            if type(fault) is RuntimeError and not any(sign in str(fault) for sign in _NO_MEMORY):
                raise
            raise OutOfMemory(f"{count} items did not fit") from fault

    def _named(self, answer: Any) -> dict[str, np.ndarray]:
        if isinstance(answer, torch.Tensor):
            answer = (answer,)
        if not isinstance(answer, Mapping):
            if len(answer) != len(self._outputs):
                raise ValueError(f"the module answers {len(answer)} tensors, declared are: {', '.join(self._outputs)}")
            answer = dict(zip(self._outputs, answer, strict=True))
        elif self._only:
            missing = [name for name in self._outputs if name not in answer]
            if missing:
                raise ValueError(f"the module answers {', '.join(answer)}, declared is {missing[0]} too")
            answer = {name: answer[name] for name in self._outputs}
        return {name: _array(tensor) for name, tensor in answer.items()}


def load(version: ModelVersion, device: str, hooks: Hooks) -> TorchModel:
    """Raises BadArtifact, one line, when code or weights do not load or do not fit each other."""
    options = check_options(version, OPTIONS)
    chosen = _device(device)
    if chosen.type == "cpu":
        torch.set_num_threads(options.get("threads", 1))
    weights = artifact(version.folder, str(options.get("weights", WEIGHTS)))
    module: Any = _module(version)
    _load_weights(weights, module)
    module = module.to(chosen).eval()
    if options.get("compile"):
        module = torch.compile(module, dynamic=True)  # batches vary in size: not one compilation for each
    outputs = [tensor.name for tensor in version.spec.outputs]
    return TorchModel(module, outputs, hooks.postprocess is None, pads_of(version, hooks), chosen)


def _array(tensor: torch.Tensor) -> np.ndarray:
    array: np.ndarray = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu().numpy()
    return array


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    kind, _, number = wanted.partition(":")
    if kind not in ("cpu", "cuda") or not (number or "0").isdigit():
        raise BadArtifact(f"device {wanted!r}: expected auto, cpu, cuda or cuda:<number>")
    if kind == "cuda" and not torch.cuda.is_available():
        raise BadArtifact(f"device {wanted}: this PyTorch sees no CUDA device")
    return torch.device(wanted)


def _code(version: ModelVersion) -> Path:
    """The version's own model.py, else one for all versions in the model's folder."""
    model_folder = version.folder.parent
    own = (version.folder / CODE).exists() or not (model_folder / CODE).exists()
    return inside(version.folder if own else model_folder, CODE)


def _module(version: ModelVersion) -> torch.nn.Module:
    path = _code(version)
    build = getattr(load_module(path, version.folder.parent), "load", None)
    if not callable(build):
        raise BadArtifact(f"{path}: expected a function load() or load(spec) that returns a torch.nn.Module")
    try:
        module = build(version.spec) if inspect.signature(build).parameters else build()
    except Exception as fault:
        raise BadArtifact(f"{path}: load() raised {type(fault).__name__}: {one_line(fault)}") from fault
    if not isinstance(module, torch.nn.Module):
        raise BadArtifact(f"{path}: load() returned {type(module).__name__}, expected a torch.nn.Module")
    return module


def _load_weights(path: Path, module: torch.nn.Module) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_model  # knows tensors that are shared, which load_state_dict alone does not

    try:
        load_model(module, path, strict=True)
    except (SafetensorError, RuntimeError, OSError) as fault:
        raise BadArtifact(f"{path}: {one_line(fault, 300)}") from fault
