"""PyTorch: `model.py` builds the network, its weights come from safetensors. Nothing is unpickled."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pipelines.catalog import ModelVersion
from pipelines.ports import OutOfMemory, Tensors
from workers.artifacts import artifact
from workers.errors import BadArtifact
from workers.hooks import load_module
from workers.runtimes.stacking import split, stack

CODE = "model.py"
WEIGHTS = "model.safetensors"
OPTIONS = ("compile", "threads", "weights")


class TorchModel:
    """See `pipelines.ports.Model`. The module takes the inputs by keyword and answers a tensor, a tuple or a dict."""

    def __init__(self, module: Any, outputs: Sequence[str], pads: Mapping[str, float], device: torch.device) -> None:
        self._module = module
        self._outputs = outputs
        self._pads = pads
        self._device = device

    def cost(self, inputs: Tensors) -> float:
        return 1.0

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        batch = stack(inputs, self._pads)
        try:
            with torch.inference_mode():
                given = {name: torch.from_numpy(tensor).to(self._device) for name, tensor in batch.items()}
                outputs = self._named(self._module(**given))
        except torch.OutOfMemoryError as fault:
            torch.cuda.empty_cache()
            raise OutOfMemory(f"{len(inputs)} items did not fit") from fault
        return split(outputs, len(inputs))

    def _named(self, answer: Any) -> dict[str, np.ndarray]:
        if isinstance(answer, torch.Tensor):
            answer = (answer,)
        if not isinstance(answer, Mapping):
            if len(answer) != len(self._outputs):
                raise ValueError(f"the module answers {len(answer)} tensors, declared are: {', '.join(self._outputs)}")
            answer = dict(zip(self._outputs, answer, strict=True))
        return {name: tensor.float().cpu().numpy() if tensor.dtype == torch.bfloat16 else tensor.cpu().numpy()
                for name, tensor in answer.items()}  # fmt: skip


def load(version: ModelVersion, device: str) -> TorchModel:
    """Raises BadArtifact, one line, when code or weights do not load or do not fit each other."""
    options = version.options
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise BadArtifact(
            f"{version.folder}: options.{unknown[0]}: no such option of torch, there are: {', '.join(OPTIONS)}"
        )
    chosen = _device(device)
    if chosen.type == "cpu":
        torch.set_num_threads(int(options.get("threads", 1)))
    module = _module(version)
    _load_weights(version, module, chosen)
    module = module.to(chosen).eval()
    if options.get("compile"):
        module = torch.compile(module)
    outputs = [tensor.name for tensor in version.spec.outputs]
    return TorchModel(module, outputs, {t.name: t.pad for t in version.spec.inputs if t.pad is not None}, chosen)


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise BadArtifact(f"device {wanted}: this PyTorch sees no CUDA device")
    return torch.device(wanted)


def _module(version: ModelVersion) -> Any:
    path = artifact(version.folder, CODE)
    code = load_module(path)
    build = getattr(code, "load", None)
    if not callable(build):
        raise BadArtifact(f"{path}: expected a function load() that returns a torch.nn.Module")
    try:
        module = build()
    except Exception as fault:
        raise BadArtifact(f"{path}: load() raised {type(fault).__name__}: {fault}") from fault
    if not isinstance(module, torch.nn.Module):
        raise BadArtifact(f"{path}: load() returned {type(module).__name__}, expected a torch.nn.Module")
    return module


def _load_weights(version: ModelVersion, module: Any, device: torch.device) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = artifact(version.folder, str(version.options.get("weights", WEIGHTS)))
    try:
        module.load_state_dict(load_file(path, device=str(device)), strict=True)
    except (SafetensorError, RuntimeError) as fault:
        raise BadArtifact(f"{path}: {' '.join(str(fault).split())[:300]}") from fault
