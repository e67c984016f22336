"""ONNX Runtime: CUDA where it is present, else the CPU."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from pipelines.catalog import ModelVersion
from pipelines.ports import OutOfMemory, Tensors
from workers.artifacts import artifact
from workers.errors import BadArtifact
from workers.runtimes.stacking import split, stack

FILE = "model.onnx"
OPTIONS = {"intra_op_threads": int, "inter_op_threads": int, "file": str}
_NO_MEMORY = ("Failed to allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


class OnnxModel:
    """See `pipelines.ports.Model`."""

    def __init__(self, session: ort.InferenceSession, pads: Mapping[str, float], device: str) -> None:
        self._session = session
        self._pads = pads
        self._outputs = [output.name for output in session.get_outputs()]
        self._device = device

    def cost(self, inputs: Tensors) -> float:
        return 1.0

    def predict(self, inputs: Sequence[Tensors]) -> list[Tensors]:
        batch = stack(inputs, self._pads)
        try:
            outputs = self._bound(batch) if self._device.startswith("cuda") else self._session.run(self._outputs, batch)
        except Exception as fault:
            if any(sign in str(fault) for sign in _NO_MEMORY):
                raise OutOfMemory(f"{len(inputs)} items did not fit") from fault
            raise
        return split(dict(zip(self._outputs, outputs, strict=True)), len(inputs))

    def _bound(self, batch: Tensors) -> list[np.ndarray]:
        """I/O binding: inputs go to the device once, outputs come back once."""
        binding = self._session.io_binding()
        for name, tensor in batch.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(tensor))
        for name in self._outputs:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())


def load(version: ModelVersion, device: str) -> OnnxModel:
    """Raises BadArtifact, one line, when the file is damaged or its inputs and outputs are not those of model.yaml."""
    path = artifact(version.folder, str(version.options.get("file", FILE)))
    chosen = _device(device)
    session = _session(path, version.options, chosen)
    if version.hooks is None:  # hooks may rename and reshape both
        _check_names(path, "inputs", [i.name for i in session.get_inputs()], [t.name for t in version.spec.inputs])
        _check_names(path, "outputs", [o.name for o in session.get_outputs()], [t.name for t in version.spec.outputs])
    return OnnxModel(session, {t.name: t.pad for t in version.spec.inputs if t.pad is not None}, chosen)


def _device(wanted: str) -> str:
    there = "CUDAExecutionProvider" in ort.get_available_providers()
    if wanted.startswith("cuda") and not there:
        raise BadArtifact(
            f"device {wanted}: this ONNX Runtime has no CUDA; install forebay[gpu] instead of forebay[cpu]"
        )
    if wanted == "auto":
        return "cuda:0" if there else "cpu"
    return wanted


def _session(path: Path, options: Mapping[str, Any], device: str) -> ort.InferenceSession:
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise BadArtifact(f"{path}: options.{unknown[0]}: no such option of onnx, there are: {', '.join(OPTIONS)}")
    settings = ort.SessionOptions()
    # Batches come one at a time: threads beyond the first help only large models, and cost the supervisor its core.
    settings.intra_op_num_threads = int(options.get("intra_op_threads", 1))
    settings.inter_op_num_threads = int(options.get("inter_op_threads", 1))
    settings.log_severity_level = 3
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        number = int(device.partition(":")[2] or 0)
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": number}))
    try:
        # By path, so that ONNX Runtime itself keeps external data below the model's folder.
        return ort.InferenceSession(str(path), settings, providers=providers)
    except Exception as fault:
        raise BadArtifact(
            f"{path}: not a model that ONNX Runtime can load: {' '.join(str(fault).split())[:300]}"
        ) from fault


def _check_names(path: Path, what: str, has: Sequence[str], declared: Sequence[str]) -> None:
    if sorted(has) != sorted(declared):
        raise BadArtifact(f"{path}: has {what} {', '.join(has)}, model.yaml declares {', '.join(declared)}")
