"""A model's code that would end the process: an error of the model, on every lane."""

import threading
from pathlib import Path

import numpy as np
import pytest

from pipelines.flow.served import HookFailed, InvalidOutput
from pipelines.ports import InvalidInput
from tests.unit.models.model_folders import add_model, onnx_bytes
from workers.errors import BadArtifact
from workers.loading import LoadedModel, load, warm
from workers.own_code import ModelExit, guarded

ENDS = ["sys.exit(0)", "raise BaseException('x')", "raise GeneratorExit"]
HOOK = "import sys\ndef {hook}(given):\n    if {condition}: {end}\n    return {answer}\n"


def loaded(root: Path, hook: str, end: str, condition: str, answer: str = "given") -> LoadedModel:
    code = HOOK.format(hook=hook, condition=condition, end=end, answer=answer)
    version = add_model(root, {"1/model.onnx": onnx_bytes(), "hooks.py": code}, hooks="hooks.py")
    model = load(version)
    warm(model, version)
    return model


@pytest.mark.parametrize("end", ENDS)
def test_a_hook_that_ends_the_process_costs_its_own_input(end: str, tmp_path: Path) -> None:
    model = loaded(tmp_path, "preprocess", end, "given['x'][0] == 7")
    good, bad = model.prepare([b'{"x": [1, 2]}', b'{"x": [7, 2]}'])
    assert not isinstance(good, HookFailed | InvalidInput)
    assert isinstance(bad, HookFailed)
    assert bad.error.startswith("preprocess: ModelExit: ")
    assert bad.error.endswith("(hooks.py:3)")


def test_cost_and_postprocess_too(tmp_path: Path) -> None:
    weighed = loaded(tmp_path / "a", "cost", "sys.exit(3)", "given['x'][0] == 7", "1.0")
    (bad,) = weighed.prepare([b'{"x": [7, 2]}'])
    assert isinstance(bad, HookFailed)
    assert "SystemExit(3)" in bad.error
    finished = loaded(tmp_path / "b", "postprocess", "sys.exit(0)", "given['y'][0] == 7")
    (wrong,) = finished.finish([{"y": np.full(2, 7, np.float32)}])
    assert isinstance(wrong, InvalidOutput)


def test_a_hook_that_ends_the_process_at_once_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadArtifact, match=r"SystemExit\(0\) would end the process"):
        loaded(tmp_path / "warm", "preprocess", "sys.exit(0)", "True")
    version = add_model(
        tmp_path / "import",
        {"1/model.onnx": onnx_bytes(), "hooks.py": "import sys\nsys.exit(0)"},
        hooks="hooks.py",
    )
    with pytest.raises(BadArtifact, match=r"SystemExit\(0\) would end the process"):
        load(version)


def test_a_torch_model_that_ends_the_process_is_told(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save

    weights = save({"w": torch.zeros(1)})
    version = add_model(
        tmp_path,
        {"1/model.py": "import sys\ndef load(): sys.exit(0)", "1/model.safetensors": weights},
        runtime="torch",
    )
    with pytest.raises(BadArtifact, match=r"SystemExit\(0\) would end the process"):
        load(version)


def test_ctrl_c_stays_one_in_the_main_thread_alone() -> None:
    def code() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guarded(code)()
    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            guarded(code)()
        except BaseException as fault:  # noqa: BLE001  # looked at below
            raised.append(fault)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert [type(fault) for fault in raised] == [ModelExit]
