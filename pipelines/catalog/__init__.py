"""The model repository, read and resolved. Knows no model runtime.

    models/<name>/model.yaml
    models/<name>/<version>/…

A mistake in one model never hides the others: it is told with its file and key, and the model is left out.
"""

from pipelines.catalog.catalog import PRODUCTION, Catalog
from pipelines.catalog.mistakes import BadModels, ModelMistake, UnknownModel, UnknownVersion
from pipelines.catalog.model_folder import SPEC_FILE, ModelVersion, ServedModel

__all__ = [
    "PRODUCTION",
    "SPEC_FILE",
    "BadModels",
    "Catalog",
    "ModelMistake",
    "ModelVersion",
    "ServedModel",
    "UnknownModel",
    "UnknownVersion",
]
