"""The catalog: reads and resolves a model repository. Knows no model runtime.

    models/<name>/model.yaml
    models/<name>/<version>/…

A mistake in one model never hides the others: it is told with its file and key, and the model is left out.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from pydantic import ValidationError

from schemas.model_spec import VERSION, ModelSpec, RuntimeName

SPEC_FILE = "model.yaml"
PRODUCTION = "production"


class Mistake(Struct, frozen=True):
    file: str
    key: str
    text: str
    """What is wrong and what was expected."""

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.text}" if self.key else f"{self.file}: {self.text}"


class BadModels(Exception):
    """One line per mistake."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class UnknownModel(LookupError):
    """No such model; the message lists what there is."""


class UnknownVersion(LookupError):
    """No such version or alias; the message lists what there is."""


class ModelVersion(Struct, frozen=True):
    name: str
    version: str
    folder: Path
    """The version's own folder."""
    spec: ModelSpec
    runtime: RuntimeName
    options: Mapping[str, Any]
    """The model's options, overridden by the version's."""
    sha256: Mapping[str, str]
    hooks: Path | None = None

    def __hash__(self) -> int:
        return hash((self.name, self.version))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelVersion) and (self.name, self.version) == (other.name, other.version)


class ServedModel(Struct, frozen=True):
    spec: ModelSpec
    versions: Mapping[str, ModelVersion]
    """By number, ascending."""


class Catalog(Struct, frozen=True):
    root: Path
    models: Mapping[str, ServedModel]
    mistakes: list[Mistake]

    @classmethod
    def open(cls, root: Path) -> "Catalog":
        """Read every model below `root`. Never raises for what is in a model: see `mistakes`."""
        models: dict[str, ServedModel] = {}
        mistakes: list[Mistake] = []
        if not root.is_dir():
            return cls(root, models, [Mistake(str(root), "", "no such folder; expected a model repository")])
        for folder in sorted(root.iterdir()):
            if folder.name.startswith((".", "_")) or not folder.is_dir():
                continue
            try:
                models[folder.name] = _read_model(root, folder)
            except BadModels as bad:
                mistakes += bad.mistakes
        if not models and not mistakes:
            mistakes.append(Mistake(str(root), "", f"no models here; expected {root}/<name>/{SPEC_FILE}"))
        return cls(root, models, mistakes)

    def check(self) -> None:
        """Raises BadModels when anything is wrong."""
        if self.mistakes:
            raise BadModels(self.mistakes)

    def resolve(self, name: str, version: str | None = None) -> ModelVersion:
        """A number, an alias, or None: the alias `production`, else the highest number."""
        model = self.models.get(name)
        if model is None:
            raise UnknownModel(f"no model {name!r}; there are: {', '.join(self.models) or 'none'}")
        wanted = version
        if wanted is None:
            wanted = PRODUCTION if PRODUCTION in model.spec.aliases else list(model.versions)[-1]
        number = str(model.spec.aliases.get(wanted, wanted))
        found = model.versions.get(number)
        if found is None:
            known = ", ".join([*model.versions, *model.spec.aliases])
            raise UnknownVersion(f"model {name!r} has no version {version!r}; there are: {known}")
        return found

    def versions(self) -> Iterator[ModelVersion]:
        for model in self.models.values():
            yield from model.versions.values()

    def specs(self) -> list[ModelSpec]:
        return [model.spec for model in self.models.values()]

    def in_pool(self, pool: str) -> list[ModelVersion]:
        return [version for version in self.versions() if version.spec.pool == pool]


def _read_model(root: Path, folder: Path) -> ServedModel:
    file = folder / SPEC_FILE
    shown = str(file)
    if not _stays_inside(folder, root) or not _stays_inside(file, folder):
        raise BadModels([Mistake(shown, "", "leads out of the model repository; links may not")])
    spec = _read_spec(file)
    mistakes = [] if spec.name == folder.name else [_named_otherwise(shown, spec.name, folder.name)]
    numbers = sorted((p.name for p in folder.iterdir() if p.is_dir() and VERSION.fullmatch(p.name)), key=int)
    mistakes += [
        Mistake(shown, f"{number}/", "leads out of the model's folder; links may not")
        for number in numbers
        if not _stays_inside(folder / number, folder)
    ]
    if not numbers:
        mistakes.append(Mistake(shown, "", f"no version folder; expected {folder}/1 with the model's files"))
    mistakes += _dangling(shown, spec, set(numbers))
    hooks = None if spec.hooks is None else folder / spec.hooks
    if hooks is not None and not (_stays_inside(hooks, folder) and hooks.is_file()):
        mistakes.append(Mistake(shown, "hooks", f"no file {spec.hooks!r} in the model's folder"))
    if mistakes:
        raise BadModels(mistakes)
    return ServedModel(spec, {number: _version(spec, folder, number, hooks) for number in numbers})


def _named_otherwise(file: str, name: str, folder: str) -> Mistake:
    return Mistake(file, "name", f"{name!r} is not the folder's name, expected {folder!r}")


def _dangling(file: str, spec: ModelSpec, numbers: set[str]) -> list[Mistake]:
    there = ", ".join(sorted(numbers, key=int)) or "none"
    aliases = [
        Mistake(file, f"aliases.{alias}", f"there is no version {number}; there are: {there}")
        for alias, number in spec.aliases.items()
        if str(number) not in numbers
    ]
    return aliases + [
        Mistake(file, f"versions.{number}", f"there is no folder {number}/; there are: {there}")
        for number in spec.versions
        if number not in numbers
    ]


def _version(spec: ModelSpec, folder: Path, number: str, hooks: Path | None) -> ModelVersion:
    own = spec.versions.get(number)
    return ModelVersion(
        name=spec.name,
        version=number,
        folder=folder / number,
        spec=spec,
        runtime=(own and own.runtime) or spec.runtime,
        options=spec.options | ((own and own.options) or {}),
        sha256=own.sha256 if own else {},
        hooks=hooks,
    )


def _stays_inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _read_spec(file: Path) -> ModelSpec:
    try:
        with file.open("rb") as stream:
            given = yaml.load(stream, Loader=_NoDuplicates)  # a SafeLoader
    except FileNotFoundError:
        raise BadModels([Mistake(str(file), "", "no such file; every model needs one")]) from None
    except OSError as fault:
        raise BadModels([Mistake(str(file), "", str(fault.strerror))]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise BadModels([Mistake(str(file), "", f"not YAML: {' '.join(str(fault).split())}")]) from None
    if not isinstance(given, dict):
        raise BadModels([Mistake(str(file), "", "expected a mapping with name, inputs and outputs")])
    try:
        return ModelSpec.model_validate(given)
    except ValidationError as fault:
        raise BadModels([_mistake(file, error) for error in fault.errors(include_url=False)]) from None


def _mistake(file: Path, error: Any) -> Mistake:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return Mistake(str(file), key, "no such key")
    if error["type"] == "missing":
        return Mistake(str(file), key, "missing")
    text = error["msg"].removeprefix("Value error, ")
    return Mistake(str(file), key, f"{text}, got {error['input']!r}"[:300])


class _NoDuplicates(yaml.SafeLoader):
    """A key given twice is a mistake, not a silent last-one-wins."""


def _mapping(loader: _NoDuplicates, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[str] = set()
    for key, _ in node.value:
        if key.value in seen:
            raise ValueError(f"line {key.start_mark.line + 1}: the key {key.value!r} is given twice")
        seen.add(key.value)
    return dict(loader.construct_pairs(node, deep=True))


_NoDuplicates.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
