"""Forebay in Airflow: an operator that orders a scoring run and waits for it without a worker slot."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forebay_airflow.hook import ForebayHook
    from forebay_airflow.operator import ForebayScoreOperator
    from forebay_airflow.trigger import ForebayScoreTrigger

__version__ = "0.1.0"

__all__ = ["ForebayHook", "ForebayScoreOperator", "ForebayScoreTrigger"]

_MODULES = {"ForebayHook": "hook", "ForebayScoreOperator": "operator", "ForebayScoreTrigger": "trigger"}


def __getattr__(name: str) -> Any:
    """Imported when asked for: Airflow reads `forebay_airflow.info` while it is being imported itself."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
