"""One model's folder: model.yaml held against what lies beside it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pipelines.catalog.mistakes import NO_FILE, BadModels, ModelMistake, is_odd, stays_inside
from pipelines.catalog.spec_file import read_spec
from pipelines.inputs import InputCodec
from pipelines.ports import InvalidInput
from schemas.model_spec import VERSION, ModelSpec, RuntimeName

SPEC_FILE = "model.yaml"


class ModelVersion(Struct, frozen=True):
    """Equal and hashed by name and version."""

    name: str
    version: str
    folder: Path
    """The version's own folder; its parent is the model's."""
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


def read_model(root: Path, folder: Path) -> ServedModel:
    """Raises BadModels with every mistake of this model."""
    file = folder / SPEC_FILE
    if not stays_inside(folder, root) or not stays_inside(file, folder):
        raise BadModels([ModelMistake(str(file), "", "leads out of the model repository; links may not")])
    numbers, mistakes = _numbers(folder)
    mistakes += _folder_mistakes(folder, numbers)
    try:
        spec = read_spec(file)
    except BadModels as bad:
        raise BadModels(list(dict.fromkeys(bad.mistakes + mistakes))) from None
    mistakes += [
        ModelMistake(str(file), key, text)
        for check in (_name, _aliases, _versions, _hooks, _example)
        for key, text in check(spec, folder, numbers)
    ]
    if mistakes:
        raise BadModels(mistakes)
    return ServedModel(spec, {number: _version(spec, folder, number) for number in numbers})


def _numbers(folder: Path) -> tuple[list[str], list[ModelMistake]]:
    """The versions, ascending, and what only looks like one. Raises BadModels."""
    try:
        named = [path for path in folder.iterdir() if path.name.isdecimal()]
        numbers = sorted((path.name for path in named if VERSION.fullmatch(path.name) and path.is_dir()), key=int)
    except OSError as fault:
        raise BadModels([ModelMistake(str(folder), "", str(fault.strerror))]) from None
    text = "no version; expected a folder named by a number from 1 to 999999999, without leading zeros"
    return numbers, [ModelMistake(str(path), "", text) for path in sorted(named) if path.name not in numbers]


def _folder_mistakes(folder: Path, numbers: list[str]) -> Iterator[ModelMistake]:
    if not numbers:
        yield ModelMistake(str(folder), "", f"no version folder; expected {folder}/1 with the model's files")
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(here, name)
            if path.is_symlink() and not stays_inside(path, folder):
                yield ModelMistake(str(path), "", "leads out of the model's folder; links may not")
            elif is_odd(path):
                yield ModelMistake(str(path), "", NO_FILE)


_Found = Iterator[tuple[str, str]]
"""Key and text."""


def _name(spec: ModelSpec, folder: Path, numbers: list[str]) -> _Found:
    if spec.name != folder.name:
        yield "name", f"{spec.name!r} is not the folder's name, expected {folder.name!r}"


def _aliases(spec: ModelSpec, folder: Path, numbers: list[str]) -> _Found:
    for alias, number in spec.aliases.items():
        if str(number) not in numbers:
            yield f"aliases.{alias}", f"there is no version {number}; there are: {', '.join(numbers) or 'none'}"


def _versions(spec: ModelSpec, folder: Path, numbers: list[str]) -> _Found:
    for number, own in spec.versions.items():
        if number not in numbers:
            yield f"versions.{number}", f"there is no folder {number}/; there are: {', '.join(numbers) or 'none'}"
            continue
        for file in own.sha256:
            path = folder / number / file
            if not stays_inside(path, folder / number):
                yield f"versions.{number}.sha256.{file}", "leads out of the version's folder"
            elif not path.is_file():
                yield f"versions.{number}.sha256.{file}", f"no such file in {number}/"


def _hooks(spec: ModelSpec, folder: Path, numbers: list[str]) -> _Found:
    if spec.hooks is None:
        return
    path = folder / spec.hooks
    if not stays_inside(path, folder):
        yield "hooks", f"{spec.hooks!r} leads out of the model's folder"
    elif path.suffix != ".py" or not path.is_file():
        yield "hooks", f"expected a Python file in the model's folder, there is no {spec.hooks!r}"


def _example(spec: ModelSpec, folder: Path, numbers: list[str]) -> _Found:
    if spec.example is None:
        return
    try:
        InputCodec(spec).decode(msgspec.json.encode(spec.example))
    except InvalidInput as invalid:
        yield "example", str(invalid)


def _version(spec: ModelSpec, folder: Path, number: str) -> ModelVersion:
    own = spec.versions.get(number)
    return ModelVersion(
        name=spec.name,
        version=number,
        folder=folder / number,
        spec=spec,
        runtime=(own and own.runtime) or spec.runtime,
        options=spec.options | ((own and own.options) or {}),
        sha256=own.sha256 if own else {},
        hooks=None if spec.hooks is None else folder / spec.hooks,
    )
