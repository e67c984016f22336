"""ONNX Runtime: CUDA where it is present, else the CPU."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from pipelines.catalog import ModelVersion
from pipelines.ports import OutOfMemory, Tensors
from workers.artifacts import artifact
from workers.errors import BadArtifact, one_line
from workers.hooks import Hooks
from workers.runtimes.onnx_external import check_external_data
from workers.runtimes.onnx_signature import check_inputs, check_outputs
from workers.runtimes.options import check_options
from workers.runtimes.stacking import pads_of, split, stack

FILE = "model.onnx"
OPTIONS = {"intra_op_threads": int, "inter_op_threads": int, "file": str}
_CUDA = "CUDAExecutionProvider"
_NO_MEMORY = ("failed to allocate memory", "out of memory", "alloc_failed", "bad_alloc", "available memory of")


class OnnxModel:
    """See `pipelines.ports.Model`."""

    def __init__(
        self, session: ort.InferenceSession, outputs: Sequence[str], pads: Mapping[str, float], on_cuda: bool
    ) -> None:
        self._session = session
        self._outputs = list(outputs)
        self._pads = pads
        self._on_cuda = on_cuda

    def cost(self, inputs: Tensors) -> float:
        return 1.0

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        return split(self._guarded(lambda: stack(inputs, self._pads), len(inputs)), len(inputs))

    def predict_batch(self, batch: Tensors) -> Tensors:
        return self._guarded(lambda: batch, len(next(iter(batch.values()))))

    def _guarded(self, stacked: Callable[[], Tensors], count: int) -> Tensors:
        try:
            batch = stacked()
            outputs = self._bound(batch) if self._on_cuda else self._session.run(self._outputs, batch)
        except Exception as fault:
            if isinstance(fault, MemoryError) or any(sign in str(fault).lower() for sign in _NO_MEMORY):
                raise OutOfMemory(f"{count} items did not fit") from fault
            raise
        return dict(zip(self._outputs, outputs, strict=True))

    def _bound(self, batch: Tensors) -> list[np.ndarray]:
        """I/O binding: inputs go to the device once, outputs come back once."""
        binding = self._session.io_binding()
        for name, tensor in batch.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(tensor))
        for name in self._outputs:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())


def load(version: ModelVersion, device: str, hooks: Hooks) -> OnnxModel:
    """Raises BadArtifact, one line, when the file is damaged or its inputs and outputs are not those of model.yaml."""
    options = check_options(version, OPTIONS)
    path = artifact(version.folder, str(options.get("file", FILE)))
    check_external_data(path, version.folder)
    session = _session(path, options, _wanted(device))
    on_cuda = session.get_providers()[0] == _CUDA
    if device.startswith("cuda") and not on_cuda:
        raise BadArtifact(f"device {device}: ONNX Runtime could not start CUDA on it, expected a working driver")
    # Hooks may rename and reshape what they touch: then the warm-up shows whether it fits.
    largest = version.spec.batching.max_batch_size
    if hooks.preprocess is None:
        check_inputs(path, session.get_inputs(), version.spec.inputs, largest)
    outputs = [output.name for output in session.get_outputs()]
    if hooks.postprocess is None:
        check_outputs(path, session.get_outputs(), version.spec.outputs, largest)
        outputs = [tensor.name for tensor in version.spec.outputs]
    return OnnxModel(session, outputs, pads_of(version, hooks), on_cuda)


def _wanted(device: str) -> str:
    """`cpu` or `cuda:<n>`."""
    there = _CUDA in ort.get_available_providers()
    if device == "auto":
        return "cuda:0" if there else "cpu"
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or not (number or "0").isdigit():
        raise BadArtifact(f"device {device!r}: expected auto, cpu, cuda or cuda:<number>")
    if kind == "cuda" and not there:
        raise BadArtifact(
            f"device {device}: this ONNX Runtime has no CUDA; install forebay[gpu] instead of forebay[cpu]"
        )
    return device


def _session(path: Path, options: Mapping[str, Any], device: str) -> ort.InferenceSession:
    settings = ort.SessionOptions()
    # Batches come one at a time: threads beyond the first help only large models, and cost the supervisor its core.
    settings.intra_op_num_threads = options.get("intra_op_threads", 1)
    settings.inter_op_num_threads = options.get("inter_op_threads", 1)
    settings.log_severity_level = 3
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        providers.insert(0, (_CUDA, {"device_id": int(device.partition(":")[2] or 0)}))
    try:
        # By path, so that ONNX Runtime finds external data beside the file.
        return ort.InferenceSession(str(path), settings, providers=providers)
    except Exception as fault:
        raise BadArtifact(f"{path}: not a model that ONNX Runtime can load: {one_line(fault, 300)}") from fault
