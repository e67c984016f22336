"""The model repository of these settings. Apart from the stores: a command that scores or streams opens none, and the
database's library is the slowest import there is."""

from forebay.settings import Settings
from pipelines.catalog import Catalog


def open_catalog(settings: Settings) -> Catalog:
    """Raises BadModels when any model.yaml has a mistake."""
    catalog = Catalog.open(settings.models)
    catalog.check()
    return catalog
