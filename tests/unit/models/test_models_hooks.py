"""A model's own code: private, checked, and told of in one line when it is at fault."""

import sys
from pathlib import Path

import pytest

from workers.errors import BadArtifact
from workers.hooks import load_hooks, load_module


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, code in files.items():
        (folder / f"{name}.py").write_text(code)
    return folder


def test_a_models_schemas_never_meets_ours(tmp_path: Path) -> None:
    import schemas

    before = list(sys.path)
    write(tmp_path, schemas="WHOSE = 'theirs'", hooks="from . import schemas\ndef preprocess(x): return schemas.WHOSE")
    hooks = load_hooks(tmp_path / "hooks.py")
    assert hooks.preprocess is not None
    assert hooks.preprocess({}) == "theirs"
    assert sys.path == before
    assert sys.modules["schemas"] is schemas


def test_two_models_with_files_of_one_name(tmp_path: Path) -> None:
    code = "from . import t\ndef cost(x): return t.COST"
    folders = [write(tmp_path / name, t=f"COST = {n}", hooks=code) for n, name in enumerate(("a", "b"), 1)]
    hooks = [load_hooks(folder / "hooks.py") for folder in folders]
    assert [hook.cost({}) for hook in hooks if hook.cost] == [1, 2]


def test_a_version_reaches_its_own_files_and_its_models(tmp_path: Path) -> None:
    write(tmp_path, shared="A = 1")
    write(tmp_path / "2", own="B = 2", model="from .. import shared\nfrom . import own\nBOTH = shared.A, own.B")
    assert load_module(tmp_path / "2" / "model.py", tmp_path).BOTH == (1, 2)


def test_a_cached_pyc_is_not_what_runs(tmp_path: Path) -> None:
    """A digest covers the source; a .pyc with its time and size would run instead of it."""
    import importlib.util
    import os
    import py_compile

    path = tmp_path / "model.py"
    path.write_text("WHAT = 'evil!'")
    py_compile.compile(str(path), cfile=importlib.util.cache_from_source(str(path)))
    stamp = path.stat().st_mtime
    path.write_text("WHAT = 'right'")
    os.utime(path, (stamp, stamp))
    assert load_module(path, tmp_path).WHAT == "right"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("def f(:", "SyntaxError"),
        ("raise KeyError('a\\nb')", "KeyError"),
        ("import sys; sys.exit(3)", "ModelExit: SystemExit(3)"),
        ("from . import absent", "ImportError"),
        ("x = 1", "expected a function preprocess, postprocess or cost"),
        ("cost = 3", "cost: expected a function, got int"),
        ("def cost(x): ...\nPADS = {'a': 'b'}", "PADS: expected a dict of numbers"),
    ],
)
def test_broken_code_is_told_in_one_line(tmp_path: Path, code: str, told: str) -> None:
    path = write(tmp_path, hooks=code) / "hooks.py"
    with pytest.raises(BadArtifact) as bad:
        load_hooks(path)
    assert str(bad.value).startswith(f"{path}: {told}")
    assert "\n" not in str(bad.value)
