"""A model's own code, loaded by path as a private package: a user's `schemas` or `api` never meets ours.

The file's folder becomes a package of a made-up name, so that `from . import tokens` works between its files; nothing
is put on sys.path. This code is trusted as the model itself is: it runs in the worker.
"""

import importlib.util
import sys
import types
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipelines.ports import Tensors
from workers.errors import BadArtifact


class Hooks(Struct, frozen=True):
    """All optional."""

    preprocess: Callable[[Tensors], Tensors] | None = None
    """One item's tensors to what the model takes. `ValueError` means: this input does not fit."""
    postprocess: Callable[[Tensors], Tensors] | None = None
    """One item's outputs of the model to the declared outputs."""
    cost: Callable[[Tensors], float] | None = None
    """What one pre-processed item weighs (tokens, pixels)."""


def load_hooks(path: Path | None) -> Hooks:
    if path is None:
        return Hooks()
    module = load_module(path)
    found = {name: getattr(module, name, None) for name in ("preprocess", "postprocess", "cost")}
    if not any(callable(hook) for hook in found.values()):
        raise BadArtifact(f"{path}: expected a function preprocess, postprocess or cost")
    return Hooks(**{name: hook for name, hook in found.items() if callable(hook)})


def load_module(path: Path) -> Any:
    """Raises BadArtifact, one line, when the file cannot be read or fails while it is imported."""
    package = "_forebay_model_" + sha256(str(path.parent.resolve()).encode()).hexdigest()[:16]
    if package not in sys.modules:
        parent = types.ModuleType(package)
        parent.__path__ = [str(path.parent)]
        sys.modules[package] = parent
    name = f"{package}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise BadArtifact(f"{path}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as fault:
        del sys.modules[name]
        raise BadArtifact(f"{path}: {type(fault).__name__}: {fault}") from fault
    return module
