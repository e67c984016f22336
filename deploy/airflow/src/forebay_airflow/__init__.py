"""Forebay in Airflow: an operator that orders a scoring run and waits for it without a worker slot."""

from forebay_airflow.hook import ForebayHook
from forebay_airflow.operator import ForebayScoreOperator
from forebay_airflow.trigger import ForebayScoreTrigger

__version__ = "0.1.0"

__all__ = ["ForebayHook", "ForebayScoreOperator", "ForebayScoreTrigger"]
