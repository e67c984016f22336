"""A model's own code, loaded by path as a private package: a user's `schemas` or `api` never meets ours.

The model's folder becomes a package of a made-up name and each version's folder one below it, so that `from . import
tokens` works between files of a folder, and `from .. import shared` from a version to its model. Nothing is put on
sys.path. This code is trusted as the model itself is: it runs in the worker.
"""

import importlib.machinery
import importlib.util
import re
import sys
import types
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipelines.ports import Tensors
from workers.errors import BadArtifact, one_line
from workers.own_code import guarded


class Hooks(Struct, frozen=True):
    """All optional."""

    preprocess: Callable[[Tensors], Tensors] | None = None
    """One item's tensors to what the model takes. `ValueError` means: this input does not fit."""
    postprocess: Callable[[Tensors], Mapping[str, Any]] | None = None
    """One item's outputs of the model to the declared outputs."""
    cost: Callable[[Tensors], float] | None = None
    """What one pre-processed item weighs (tokens, pixels)."""
    pads: Mapping[str, float] = {}
    """`PADS` of the file: what pre-processed tensors are padded with, by name, as `pad` does for declared inputs."""


def load_hooks(path: Path | None) -> Hooks:
    """Raises BadArtifact, one line."""
    if path is None:
        return Hooks()
    module = load_module(path, path.parent)
    found = {name: getattr(module, name) for name in ("preprocess", "postprocess", "cost") if hasattr(module, name)}
    for name, hook in found.items():
        if not callable(hook):
            raise BadArtifact(f"{path}: {name}: expected a function, got {type(hook).__name__}")
    if not found:
        raise BadArtifact(f"{path}: expected a function preprocess, postprocess or cost")
    return Hooks(**{name: guarded(hook) for name, hook in found.items()}, pads=_pads(path, getattr(module, "PADS", {})))


def load_module(path: Path, model_folder: Path) -> Any:
    """The module in `path`, which lies in `model_folder` or in a version's folder below it. Its code is what the file
    says, never a cached .pyc. Raises BadArtifact, one line, when it cannot be read or fails while it is imported."""
    package = _package(path.parent, model_folder)
    name = f"{package}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_SourceOnly(name, str(path)))
    if spec is None or spec.loader is None or not path.is_file():
        raise BadArtifact(f"{path}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        guarded(spec.loader.exec_module)(module)
    except Exception as fault:
        del sys.modules[name]
        raise BadArtifact(f"{path}: {type(fault).__name__}: {one_line(fault)}") from fault
    return module


class _SourceOnly(importlib.machinery.SourceFileLoader):
    """The digest in model.yaml is the source's: a .pyc beside it would run unchecked."""

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


def _package(folder: Path, model_folder: Path) -> str:
    """`_forebay_model_digits_<digest of the folder>`, and `….v2` for the folder of a version."""
    digest = sha256(str(model_folder.resolve()).encode()).hexdigest()[:12]
    package = f"_forebay_model_{re.sub('[^a-z0-9]', '_', model_folder.name.lower())}_{digest}"
    _make_package(package, model_folder)
    if folder == model_folder:
        return package
    below = f"{package}.v{folder.name}"
    _make_package(below, folder)
    return below


def _make_package(name: str, folder: Path) -> None:
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package


def _pads(path: Path, given: Any) -> dict[str, float]:
    numbers = isinstance(given, dict) and all(isinstance(pad, (int, float)) for pad in given.values())
    if not numbers:
        raise BadArtifact(f"{path}: PADS: expected a dict of numbers by name of a tensor")
    return {str(name): float(pad) for name, pad in given.items()}
