"""`forebay models`."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_driver import Command

from forebay.cli import errors


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def found(name: str, *more: Any) -> Any:
        return None if name == "torch" else find_spec(name, *more)

    monkeypatch.setattr(importlib.util, "find_spec", found)


@pytest.fixture
def only_onnx(forebay: Command) -> None:
    """Loading PyTorch takes seconds."""
    shutil.rmtree(forebay.models / "digits" / "2")
    spec = forebay.models / "digits" / "model.yaml"
    head, example = spec.read_text().split("example:")
    spec.write_text(head.partition('  "2"')[0] + "example:" + example)


def broken(models: Path) -> None:
    (models / "bad" / "1").mkdir(parents=True)
    (models / "bad" / "model.yaml").write_text("name: other\ninputs: []\noutputs: 1\nnope: 2\n")


def test_ls(forebay: Command, without_torch: None) -> None:
    said = forebay("models", "ls", "--json")
    one, two = said.records
    assert said.code == 0
    assert (one["model"], one["version"], one["aliases"], one["runtime"]) == ("digits", "1", ["production"], "onnx")
    assert (one["pool"], one["available"], one["why_not"]) == ("default", True, None)
    assert (two["version"], two["available"]) == ("2", False)
    assert "pip install 'forebay[torch]'" in two["why_not"]
    assert "pip install 'forebay[torch]'" in forebay("models", "ls").out


def test_ls_still_lists_the_good_beside_a_broken_one(forebay: Command) -> None:
    broken(forebay.models)
    said = forebay("models", "ls", "--json")
    assert (said.code, len(said.records)) == (errors.Exit.FAILED, 2)
    assert "bad/model.yaml: nope: no such key" in said.err


@pytest.mark.usefixtures("without_torch")
class Test_check:
    def test_fine(self, forebay: Command) -> None:
        said = forebay("models", "check")
        assert (said.code, said.err) == (0, "")
        one, two = said.out.splitlines()
        assert one == "digits 1: ok"
        assert two.startswith("digits 2: ok, but not loaded: runtime torch is not installed")

    def test_every_mistake_is_named_and_the_good_are_still_checked(self, forebay: Command) -> None:
        broken(forebay.models)
        (forebay.models / "digits" / "1" / "model.onnx").write_bytes(b"damaged")
        said = forebay("models", "check", "--json")
        assert said.code == errors.Exit.FAILED
        assert [record["ok"] for record in said.records] == [False, True]
        for part in ("inputs:", "outputs:", "nope: no such key"):
            assert f"bad/model.yaml: {part}" in said.err
        assert "model.onnx: sha256 is" in said.err
        assert all(line.startswith("forebay: ") for line in said.err.splitlines())

    def test_a_digest_is_checked_where_the_runtime_is_missing(self, forebay: Command) -> None:
        (forebay.models / "digits" / "2" / "model.py").write_text("")
        said = forebay("models", "check")
        assert (said.code, said.one_line, "model.py: sha256 is" in said.err) == (errors.Exit.FAILED, True, True)

    @pytest.mark.timeout(20)
    def test_pipes_and_odd_versions_are_named(self, forebay: Command) -> None:
        (forebay.models / "digits" / "01").mkdir()
        artifact = forebay.models / "digits" / "1" / "model.onnx"
        artifact.unlink()
        os.mkfifo(artifact)
        said = forebay("models", "check")
        assert said.code == errors.Exit.FAILED
        assert "digits/01: no version; expected a folder named by a number" in said.err
        assert "digits/1/model.onnx: neither a file nor a folder; expected a regular file" in said.err


@pytest.mark.usefixtures("only_onnx")
class Test_warm:
    def test_it_prints_the_times(self, forebay: Command) -> None:
        said = forebay("models", "warm")
        assert (said.code, said.err) == (0, "")
        assert said.out.startswith("digits 1: loaded in ")
        (record,) = forebay("models", "warm", "digits", "--device", "cpu", "--json").records
        assert record["load_s"] > 0
        assert record["batch_s"] > 0

    def test_a_damaged_model(self, forebay: Command) -> None:
        (forebay.models / "digits" / "1" / "model.onnx").write_bytes(b"damaged")
        said = forebay("models", "warm")
        assert (said.code, said.one_line, "sha256 is" in said.err) == (errors.Exit.FAILED, True, True)

    def test_an_unknown_model(self, forebay: Command) -> None:
        said = forebay("models", "warm", "nope")
        assert (said.code, said.err) == (errors.Exit.NOT_FOUND, "forebay: no model 'nope'; there are: digits\n")


def test_no_models_at_all(forebay: Command) -> None:
    said = forebay("models", "check", "--models", "nowhere")
    assert said.code == errors.Exit.FAILED
    assert (
        "/nowhere: No such file or directory; expected a model repository: give --models or FOREBAY_MODELS" in said.err
    )
