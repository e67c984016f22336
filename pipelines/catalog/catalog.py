"""The catalog: every model of a repository, and what a name and a version stand for."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from pipelines.catalog.mistakes import BadModels, ModelMistake, UnknownModel, UnknownVersion
from pipelines.catalog.model_folder import SPEC_FILE, ModelVersion, ServedModel, read_model
from schemas.model_spec import ModelSpec

PRODUCTION = "production"


class Catalog(Struct, frozen=True):
    root: Path
    models: Mapping[str, ServedModel]
    mistakes: list[ModelMistake]

    @classmethod
    def open(cls, root: Path) -> "Catalog":
        """Read every model below `root`. Never raises for what is in a model: see `mistakes`."""
        models: dict[str, ServedModel] = {}
        mistakes: list[ModelMistake] = []
        try:
            folders = sorted(path for path in root.iterdir() if path.name[0] not in "._" and path.is_dir())
        except OSError as fault:
            text = f"{fault.strerror}; expected a model repository: give --models or FOREBAY_MODELS"
            return cls(root, models, [ModelMistake(str(root.absolute()), "", text)])
        for folder in folders:
            try:
                models[folder.name] = read_model(root, folder)
            except BadModels as bad:
                mistakes += bad.mistakes
        if not models and not mistakes:
            mistakes.append(ModelMistake(str(root), "", f"no models here; expected {root}/<name>/{SPEC_FILE}"))
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
            raise UnknownVersion(f"model {name!r} has no version {wanted!r}; there are: {known}")
        return found

    def versions(self) -> Iterator[ModelVersion]:
        for model in self.models.values():
            yield from model.versions.values()

    def specs(self) -> list[ModelSpec]:
        return [model.spec for model in self.models.values()]

    def in_pool(self, pool: str) -> list[ModelVersion]:
        return [version for version in self.versions() if version.spec.pool == pool]
