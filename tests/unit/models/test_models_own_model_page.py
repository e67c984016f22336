"""The how-to page, followed: its files are written as it says, and the model answers what it says."""

import os
import re
import runpy
from pathlib import Path

import pytest

if os.environ.get("CI") != "true":  # in CI it must be there
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'forebay[torch]'")

from pipelines.catalog import Catalog
from pipelines.flow.served import Prepared
from pipelines.ports import InvalidInput
from workers.loading import LoadedModel, load, warm

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "own-model.md"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    runpy.run_path("save.py")
    return tmp_path / "models"


def loaded(repository: Path) -> LoadedModel:
    catalog = Catalog.open(repository)
    catalog.check()
    version = catalog.resolve("fahrenheit")
    model = load(version, "cpu")
    warm(model, version)
    return model


def answer(model: LoadedModel, raw: bytes) -> object:
    (prepared,) = model.prepare([raw])
    assert isinstance(prepared, Prepared)
    return model.finish(model.predict([prepared.tensors]))[0]


def test_the_model_of_the_page(repository: Path) -> None:
    model = loaded(repository)
    assert answer(model, b'{"celsius":[37]}') == b'{"fahrenheit":[98.5999984741211]}'
    assert [str(refused) for refused in model.prepare([b'{"celsius":["warm"]}'])] == [
        "inputs.celsius[0]: expected float32, got string"
    ]


def test_its_hooks_and_its_digest(repository: Path) -> None:
    spec = repository / "fahrenheit" / "model.yaml"
    spec.write_text(spec.read_text() + "hooks: hooks.py\n")
    model = loaded(repository)
    assert answer(model, b'{"celsius":[37]}') == b'{"fahrenheit":[99.0]}'
    (refused,) = model.prepare([b'{"celsius":[-300]}'])
    assert isinstance(refused, InvalidInput)
    assert "colder than can be" in str(refused)
