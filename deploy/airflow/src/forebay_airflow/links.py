"""The button beside a task instance that leads to its run."""

from typing import TYPE_CHECKING, Any

import attrs
from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator


@attrs.define()
class ForebayRunLink(BaseOperatorLink):
    @property
    def name(self) -> str:
        return "Forebay run"

    def get_link(self, operator: "BaseOperator", *, ti_key: Any) -> str:
        """Asked after every execution, deferred ones too, in the task's own process; empty, and not
        shown, before the run was ordered and where a browser could not follow it."""
        return getattr(operator, "run_url", "")
