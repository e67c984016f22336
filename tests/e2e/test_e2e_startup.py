"""What cannot start says so: one line with the place and the fault, an exit code, no traceback, quickly."""

import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.processes import Forebay
from tests.e2e.stage import Stage, stage

QUICKLY = 20.0


def _replace(file: str, pattern: str, by: str) -> Callable[[Path], None]:
    def breaks(model: Path) -> None:
        text = (model / file).read_text()
        changed = re.sub(pattern, by, text)
        assert changed != text
        (model / file).write_text(changed)

    return breaks


def _wrong_digest(model: Path) -> None:
    spec = model / "model.yaml"
    spec.write_text(spec.read_text() + f"versions:\n  '1': {{sha256: {{model.onnx: {'ab' * 32}}}}}\n")


def _cut_off(model: Path) -> None:
    path = model / "1" / "model.onnx"
    path.write_bytes(path.read_bytes()[:100])


def _garbage(model: Path) -> None:
    (model / "1" / "model.onnx").write_bytes(b"no protobuf, this" * 100)


def _missing(model: Path) -> None:
    (model / "1" / "model.onnx").unlink()


@pytest.mark.parametrize(
    ("command", "breaks", "names"),
    [
        ("up", _replace("model.yaml", "dtype: int64", "dtype: int65"), ["model.yaml", "dtype", "int65"]),
        ("up", _replace("model.yaml", "name: probe", "nome: probe"), ["model.yaml", "nome"]),
        ("up", _replace("model.yaml", "^", "{]\n"), ["model.yaml"]),
        (
            "worker",
            _replace("hooks.py", "import os", "import os; raise RuntimeError('no such thing')"),
            ["hooks.py", "no such thing"],
        ),
        ("up", _wrong_digest, ["model.onnx", "sha256", "ab" * 32]),
        ("worker", _cut_off, ["model.onnx"]),
        ("worker", _garbage, ["model.onnx"]),
        ("worker", _missing, ["model.onnx", "no such file"]),
    ],
    ids=["dtype", "unknown-key", "no-yaml", "hooks", "digest", "cut-off", "garbage", "missing"],
)
def test_what_is_wrong_with_a_model_is_named(command: str, breaks: Callable[[Path], None], names: list[str]) -> None:
    with stage(None) as on:
        breaks(on.model)
        lines = _refused(on, on.place.start(command))
        fault = "\n".join(lines)
        assert all(name in fault for name in names), fault


def test_an_address_in_use_is_one_line() -> None:
    with stage(None) as on, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (line,) = _refused(on, on.place.start("up", PORT=str(port)))
        assert f"127.0.0.1:{port}" in line
        assert "in use" in line


def test_a_store_that_is_not_there_is_one_line() -> None:
    with stage(None) as on:
        (line,) = _refused(on, on.place.start("up", STORE="postgresql://nobody@127.0.0.1:1/none"))
        assert "127.0.0.1:1" in line


def _refused(on: Stage, process: Forebay) -> list[str]:
    """What it complained of, without the greeting."""
    began = time.monotonic()
    code = process.wait(QUICKLY)
    assert time.monotonic() - began < QUICKLY
    said = process.complained
    assert code not in (0, None), said
    assert "Traceback" not in said, said
    passing = (": starting with models from ", "WARNING forebay: waiting for ")
    lines = [line for line in said.splitlines() if not any(text in line for text in passing)]
    assert lines, "it said nothing"
    assert len(lines) <= 3, said
    assert all(line.startswith("forebay: ") for line in lines), said
    return lines
